"""Things and the table found by printed markers, which say where they are and how they are turned."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np

from vgps_models.keypoints.camera import Intrinsics, require_picture
from vgps_models.keypoints.corners import refine
from vgps_models.keypoints.lifting import Points, metres
from vgps_models.keypoints.marker_set import MarkerSet
from vgps_models.keypoints.opencv import dictionary, opencv
from vgps_models.keypoints.planar import Pose, Trust, inverse, planar_pose
from vgps_models.spaces import Array, Image

CORNERS = np.array([[-0.5, 0.5], [0.5, 0.5], [0.5, -0.5], [-0.5, -0.5]])  # of a marker of edge 1, as OpenCV tells them
ENOUGH = 6  # corners of the board's squares, from which on it counts as seen


@dataclass(frozen=True, eq=False)
class MarkersSeen:
    """K things, `names` in the order of the settings, in the camera's frame.

    points: position (K, 3) [m] of their middles and confidence (K,), as of things that a detector finds. rotation
    (K, 3, 3): columns are a thing's axes. error (K,) [px]: root mean square of the marker's corners. NaN where a thing
    is not seen. table: pose of the board or marker on the table, camera_pose (4, 4): of the camera in the base frame;
    None where it is not seen. twins: ids that were seen more than once. What wears one of them counts as not seen, for
    which of the two it is cannot be known.
    """

    names: tuple[str, ...]
    points: Points
    rotation: Array
    error: Array
    table: Pose | None
    camera_pose: Array | None
    twins: tuple[int, ...]


class Markers:
    """Looks at one picture at a time. Cameras have no distortion here: undistort pictures of one that has."""

    def __init__(self, settings: MarkerSet, trust: Trust | None = None) -> None:
        """Raises MissingDependencyError without OpenCV, UnknownNameError for a dictionary that it does not have."""
        aruco = opencv().aruco
        self.settings, self.trust = settings, trust or Trust()
        known = dictionary(settings.dictionary, settings.ids)
        how = aruco.DetectorParameters()
        how.cornerRefinementMethod = aruco.CORNER_REFINE_NONE  # `refine` does it
        self._detector = aruco.ArucoDetector(known, how)
        self._board: Any = None
        if (b := settings.board) is not None:
            board = aruco.CharucoBoard(b.squares, b.square, b.marker, known, np.array(b.ids))
            self._board = aruco.CharucoDetector(board, aruco.CharucoParameters(), how)
            # OpenCV counts from the upper left corner, and y downwards.
            self._corners = (board.getChessboardCorners()[:, :2] - np.array(b.size) / 2) * (1, -1)

    def __call__(self, image: Image, camera: Intrinsics, depth: Array | None = None) -> MarkersSeen:
        """Of a picture (height, width, 3) uint8 RGB, and depth (height, width) as `metres` takes it, in the same view.

        Depth decides between the two ways in which a marker may be turned. It does not move them.
        """
        require_picture(image)
        camera.require(image.shape, "the picture")
        if depth is not None:
            camera.require(depth.shape, "depth")
            depth = metres(depth)
        cv2 = opencv()
        grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
        corners, ids, _ = self._detector.detectMarkers(grey)
        found = [] if ids is None else [int(i) for i in ids.ravel()]
        twins = tuple(sorted(i for i, count in Counter(found).items() if count > 1))
        once = zip(found, corners, strict=True)
        squares = {i: refine(grey, c.reshape(4, 2).astype(float)) for i, c in once if i not in twins}
        worn = self.settings.things.values()
        seen = [self._single(squares.get(w.id), camera, depth) for w in worn]
        if self._board is None:
            table = self._single(squares.get(-1 if (t := self.settings.table) is None else t), camera, depth)
        else:
            table = self._on_board(grey, squares, camera, depth)
        middles = [
            _nan(3) if p is None else p.position + p.rotation @ w.offset for p, w in zip(seen, worn, strict=True)
        ]
        return MarkersSeen(
            tuple(self.settings.things),
            Points(np.reshape(middles, (-1, 3)), np.array([0.0 if p is None else p.confidence for p in seen])),
            np.reshape([_nan(3, 3) if p is None else p.rotation for p in seen], (-1, 3, 3)),
            np.array([np.nan if p is None else p.error for p in seen]),
            table,
            None if table is None else inverse(table.matrix @ self.settings.base.pose),
            twins,
        )

    def _single(self, corners: Array | None, camera: Intrinsics, depth: Array | None) -> Pose | None:
        if corners is None:
            return None
        return planar_pose(self.settings.edge * CORNERS, corners, camera, self.trust, depth=depth)

    def _on_board(self, grey: Image, squares: dict[int, Array], camera: Intrinsics, depth: Array | None) -> Pose | None:
        assert self.settings.board is not None
        mine = [i for i in squares if i in self.settings.board.ids]
        if not mine:
            return None
        given = tuple(squares[i][None].astype(np.float32) for i in mine)
        pixels, ids, _, _ = self._board.detectBoard(grey, None, None, given, np.array(mine, np.int32)[:, None])
        if ids is None or len(ids) < ENOUGH:
            return None
        figure = self._corners[ids.ravel()]
        if np.linalg.matrix_rank(figure - figure.mean(0), tol=1e-4) < 2:  # all in a line
            return None
        return planar_pose(figure, pixels.reshape(-1, 2).astype(float), camera, self.trust, depth=depth)


def _nan(*shape: int) -> Array:
    return np.full(shape, np.nan)
