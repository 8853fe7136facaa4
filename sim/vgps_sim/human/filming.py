"""A person at a task, filmed with depth: what a camera sees, and where every landmark of the person really is."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from vgps_models.errors import DataError
from vgps_models.keypoints.camera import Intrinsics
from vgps_models.spaces import Array, Image
from vgps_sim.people.performance import Performance, perform
from vgps_sim.people.person import Person
from vgps_sim.people.stage import FPS, Stage
from vgps_sim.people.views import View

WIDTH, HEIGHT = 640, 480  # [px] as depth cameras have


@dataclass(frozen=True, eq=False)
class Film:
    """T frames of one view, `fps` a second.

    rgb (T, h, w, 3) uint8, depth (T, h, w) [m]. hand (T, 21, 3), elbow and shoulder (T, 3): true positions in the
    camera's frame [m], which has x to the right, y down and z forward. tip (T, 3): between the fingertips; pinch
    (T, 3, 3): axes there, x along the last bones, y from the thumb's pad to the index finger's; gap (T,): between the
    pads [m]. things (T, N, 3): the task's landmarks. camera_pose (4, 4): of the camera in the base frame.
    """

    performance: Performance
    camera: Intrinsics
    camera_pose: Array
    rgb: Image
    depth: Array
    hand: Array
    elbow: Array
    shoulder: Array
    tip: Array
    pinch: Array
    gap: Array
    things: Array
    fps: int = FPS

    def __len__(self) -> int:
        return len(self.rgb)

    @property
    def seconds(self) -> Array:
        return np.arange(len(self)) / self.fps


def film(
    task_id: str, seed: int, *, width: int = WIDTH, height: int = HEIGHT, failures: float = 0.25, fps: int = FPS,
    whole: bool = False,
) -> Film:  # fmt: skip
    """One performance of a `Person` from somewhere around the table; drawn from task and seed as all are.

    whole: from farther off, so that elbow and shoulder are in the picture.
    """
    watching = _Watching(width, height)
    # The pictures of the performance itself are not looked at: small ones cost nothing.
    performed = perform(
        "person", task_id, seed, size=16, failures=failures, front=0.0, fps=fps, whole=whole, watch=watching
    )
    made: dict[str, Any] = {name: np.stack(taken) for name, taken in watching.taken.items()}
    if watching.camera is None or watching.pose is None:
        raise DataError(f"{task_id}, seed {seed}: nothing was filmed")
    return Film(performed, watching.camera, watching.pose, **made, fps=fps)


def seen_by_camera(made: Film, *, holes: float, noise: float, seed: int = 0) -> Iterator[tuple[Image, Array]]:
    """Colour, and depth [m] as a camera gives it."""
    return with_noise(made.rgb, made.depth, holes=holes, noise=noise, seed=seed)


def with_noise(rgb: Image, depth: Array, *, holes: float, noise: float, seed: int = 0) -> Iterator[tuple[Image, Array]]:
    """Colour, and depth with noise [m], and 0 in a share of the pixels."""
    random = np.random.default_rng(seed)
    for colour, far in zip(rgb, depth, strict=True):
        noisy = far + random.normal(0, noise, far.shape)
        noisy[random.random(far.shape) < holes] = 0.0
        yield colour, noisy


class _Watching:
    def __init__(self, width: int, height: int) -> None:
        self.width, self.height = width, height
        self.camera: Intrinsics | None = None
        self.pose: Array | None = None
        names = ("rgb", "depth", "hand", "elbow", "shoulder", "tip", "pinch", "gap", "things")
        self.taken: dict[str, list[Any]] = {name: [] for name in names}

    def __call__(self, stage: Stage, views: Sequence[View]) -> None:
        name, body = views[0].name, stage.embodiment
        if not isinstance(body, Person):
            raise DataError(f"{body.name} has no landmarks; a person has")
        number = stage.model.camera(name).id
        if self.camera is None:
            self.camera = Intrinsics.of_fovy(self.width, self.height, float(stage.model.cam_fovy[number]))
            self.pose = stage.camera_pose(name)
        assert self.pose is not None
        rgb, depth = stage.filmed(name, self.height, self.width)
        seen = body.seen(stage.tip)
        points = {"hand": seen.hand, "elbow": seen.elbow, "shoulder": seen.shoulder, "tip": stage.tip.position}
        points["things"] = stage.task.located(stage)
        taken = {"rgb": rgb, "depth": depth, "gap": np.array(stage.tip.gap)}
        taken |= {what: self._local(where) for what, where in points.items()}
        taken["pinch"] = self.pose[:3, :3].T @ seen.pinch
        for what, value in taken.items():
            self.taken[what].append(value)

    def _local(self, points: Array) -> Array:
        assert self.pose is not None
        return (points - self.pose[:3, 3]) @ self.pose[:3, :3]
