"""A table with printed markers on it and on boxes, and a camera that can be anywhere."""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from vgps_models.keypoints.camera import Intrinsics
from vgps_models.keypoints.marker_set import MarkerSet
from vgps_models.keypoints.marker_sheet import board_face, marker_face
from vgps_models.keypoints.markers import CORNERS
from vgps_models.keypoints.planar import inverse
from vgps_models.spaces import Array, Image
from vgps_sim.objects import BOX, LOOKS_ONLY
from vgps_sim.renderers import Renderers
from vgps_sim.scene import Camera, furnish, look_at

WIDTH, HEIGHT, FOVY = 640, 480, 45.0  # [px], [px], [deg]
# Textures are halved again and again to be drawn small; where a size is no multiple of a power of two, what is drawn
# grows by up to a hundredth.
PAPER, MARKER = 512, 320  # [px] width of a marker's paper, and of the marker in its middle
SQUARE = 128  # [px] of the board
THIN = 0.0005  # [m] half of the paper's thickness
BOX_HALF = 0.015  # [m] half of the height of what wears a marker
AWAY = (0.0, 0.0, -1.0)  # [m] under the table


@dataclass(frozen=True, eq=False)
class Shot:
    """rgb (h, w, 3) uint8, depth (h, w) [m], camera_pose (4, 4) of the camera in the base frame.

    things (K, 4, 4): true poses of the markers that things wear, in the camera's frame. whole (K,): which of them are
    in the picture from corner to corner with nothing before them.
    """

    rgb: Image
    depth: Array
    camera: Intrinsics
    camera_pose: Array
    things: Array
    whole: NDArray[np.bool_]


class MarkedTable:
    """The board, if there is one, lies where `settings.base` says; all things are under the table to begin with."""

    def __init__(self, settings: MarkerSet, width: int = WIDTH, height: int = HEIGHT) -> None:
        self.settings, self.camera = settings, Intrinsics.of_fovy(width, height, FOVY)
        spec = mujoco.MjSpec()
        furnish(spec)
        spec.worldbody.add_camera(name="camera", fovy=FOVY)
        half = settings.edge * PAPER / MARKER / 2
        for name, worn in settings.things.items():
            body = spec.worldbody.add_body(name=name, mocap=True, pos=AWAY)
            face = np.pad(marker_face(settings, worn.id, MARKER), (PAPER - MARKER) // 2, constant_values=255)
            _paper(spec, body, name, face, (half, half))
            body.add_geom(
                type=BOX, size=[half, half, BOX_HALF], pos=[0, 0, -2 * THIN - BOX_HALF],
                rgba=[0.35, 0.5, 0.75, 1.0], **LOOKS_ONLY,
            )  # fmt: skip
        if settings.board is not None:
            board = spec.worldbody.add_body(name="board", mocap=True)
            face = board_face(settings, SQUARE / settings.board.square)
            _paper(spec, board, "board", face, tuple(s / 2 for s in settings.board.size))
        self.model = spec.compile()
        self.data = mujoco.MjData(self.model)
        self._renderers = Renderers(self.model)
        if settings.board is not None:
            self.put("board", inverse(settings.base.pose))

    def put(self, name: str, pose: Array) -> None:
        """Put the marker of a thing at a pose (4, 4) in the base frame."""
        mocap = self.model.body_mocapid[self.model.body(name).id]
        self.data.mocap_pos[mocap] = pose[:3, 3]
        self.data.mocap_quat[mocap] = np.roll(Rotation.from_matrix(pose[:3, :3]).as_quat(), 1)

    def away(self) -> None:
        """Put all things under the table."""
        for name in self.settings.things:
            self.put(name, posed(AWAY))

    def look(self, position: Array, target: Array, roll: float = 0.0) -> None:
        """Look from a position at a target [m], the camera turned by `roll` [rad] about its axis."""
        number = self.model.camera("camera").id
        aim = look_at(Camera((*map(float, position),), (*map(float, target),), FOVY))  # type: ignore[arg-type]
        turned = Rotation.from_quat(np.roll(aim, -1)) * Rotation.from_euler("z", roll)
        self.model.cam_pos[number], self.model.cam_quat[number] = position, np.roll(turned.as_quat(), 1)

    def shot(self) -> Shot:
        mujoco.mj_forward(self.model, self.data)
        number = self.model.camera("camera").id
        pose = np.eye(4)
        # MuJoCo's cameras look along -z with y up.
        pose[:3, :3] = self.data.cam_xmat[number].reshape(3, 3) * (1.0, -1.0, -1.0)
        pose[:3, 3] = self.data.cam_xpos[number]
        size = self.camera.height, self.camera.width
        rgb = self._renderers.draw(self.data, "camera", *size)
        depth = self._renderers.depth(self.data, "camera", *size)
        things = np.array([inverse(pose) @ self._pose(name) for name in self.settings.things]).reshape(-1, 4, 4)
        whole = np.array([self._whole(thing, depth) for thing in things], bool)
        return Shot(rgb, depth, self.camera, pose, things, whole)

    def close(self) -> None:
        self._renderers.close()

    def _pose(self, name: str) -> Array:
        body = self.model.body(name).id
        made = np.eye(4)
        made[:3, :3], made[:3, 3] = self.data.xmat[body].reshape(3, 3), self.data.xpos[body]
        return made

    def _whole(self, thing: Array, depth: Array) -> bool:
        edge = self.settings.edge
        spread = np.concatenate([edge * CORNERS * share for share in (1.2, 1.0, 0.7, 0.4)])  # and a little around it
        points = spread @ thing[:3, :2].T + thing[:3, 3]
        if points[:, 2].min() <= 0 or thing[:3, 2] @ thing[:3, 3] >= 0:
            return False
        pixels = np.round(self.camera.project(points)).astype(int)
        if not ((pixels >= 0) & (pixels < (self.camera.width, self.camera.height))).all():
            return False
        return bool((points[:, 2] - depth[pixels[:, 1], pixels[:, 0]] < 0.006).all())


def posed(position: Array | tuple[float, float, float], rotation: Rotation | None = None) -> Array:
    """(4, 4)"""
    made = np.eye(4)
    made[:3, 3] = position
    if rotation is not None:
        made[:3, :3] = rotation.as_matrix()
    return made


def _paper(spec: mujoco.MjSpec, body: mujoco.MjsBody, name: str, face: Image, half: tuple[float, ...]) -> None:
    """A printed face, its upper side at height 0 of the body."""
    texture = spec.add_texture(
        name=f"{name}_face", type=mujoco.mjtTexture.mjTEXTURE_2D, width=face.shape[1], height=face.shape[0], nchannel=3,
    )  # fmt: skip
    texture.data = np.repeat(face, 3).tobytes()
    spec.add_material(name=f"{name}_paper", specular=0.1).textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = f"{name}_face"
    body.add_geom(type=BOX, size=[*half, THIN], pos=[0, 0, -THIN], material=f"{name}_paper", **LOOKS_ONLY)
