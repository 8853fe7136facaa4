"""A hand of bones fitted to what was seen of one: landmarks in pictures, and depth where it is that of the hand.

More than half of a hand's landmarks are usually hidden, behind other fingers or what it holds. A detector guesses where
in the picture they are, and the depth there is that of something before them. Bones cannot be anywhere, though: of all
poses of a hand the one is taken that is nearest to what was seen, by pixels and by depth, that does not bend what does
not bend, and that is near to the pose before. Gauss-Newton with robust weights (Cauchy), some 27 degrees of freedom.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from vgps_models.errors import DataError
from vgps_models.keypoints.camera import Intrinsics
from vgps_models.spaces import Array
from vgps_sim.human.grip import pinch
from vgps_sim.human.rig import CHAINS, FINGERS, JOINTS, LANDMARKS, PARENTS, load_rig

PALM = (0, 1, 5, 9, 13, 17)  # landmarks that keep their places in the palm
WRIST, THUMB_TIP, INDEX_TIP = 0, 4, 8  # landmarks
SIZES = (0.86, 0.93, 1.0, 1.07, 1.14)  # of hands; 1 is 19 cm long
GUESSED = 6.0  # squared error in a picture, in units of what is tolerated, from which on a landmark is only guessed
TRIED = 16  # frames by which the size is found
BEND, SPREAD = (-0.25, 1.75), (-0.3, 0.3)  # [rad] of a finger's joints
THUMB = {"bend": (-0.7, 0.9), "spread": (-1.0, 1.0), "turn": (-1.2, 1.2)}  # [rad] of its root
AT_WORK = 0.04  # [m] between the fingertips of a hand at ease


@dataclass(frozen=True)
class FitConfig:
    pixels: float = 2.5  # [px] error of a landmark in a picture of 640 px that counts as one
    depth: float = 0.008  # [m] and in depth
    hidden: float = 1.0  # what it costs at most that a joint is behind what is seen
    before: float = 3.0  # times as much at most that it is before it
    ease: float = 0.35  # [rad] off the pose at ease
    pinch: float = 0.02  # [m] between the tips of thumb and index finger, which work together
    turn: float = 6.0  # [rad/s] of a joint, and of the wrist, since the frame before
    move: float = 0.75  # [m/s] of the wrist
    first: int = 25  # steps in a frame that begins
    steps: int = 8  # steps in one that follows another


class HandSkeleton:
    """A right hand of some size, in a camera's frame. period: seconds between two frames."""

    def __init__(
        self, camera: Intrinsics, size: float = 1.0, period: float = 0.04, config: FitConfig = FitConfig()
    ) -> None:
        self.camera, self.size, self.period, self.config = camera, size, period, config
        self.model = _model(size)
        self.data = mujoco.MjData(self.model)
        self._bodies = [self.model.body(name).id for name in LANDMARKS]
        hinges = range(1, self.model.njnt)
        self._low, self._high = (self.model.jnt_range[1:, side] for side in (0, 1))
        self._ease = np.array([_ease(self.model.joint(j).name) for j in hinges])
        self._at_rest = self.landmarks(np.r_[np.zeros(3), 1, np.zeros(3), self._ease])

    def fit(self, pixels: Array, depth: Array) -> tuple[Array, Array]:
        """Landmarks (T, 21, 3) [m] and the mean cost of each frame (T,), NaN where nothing was seen.

        pixels (T, 21, 2), depth (T, 21) [m] along the camera's axis, NaN where unknown.
        """
        made, costs = np.full((*pixels.shape[:2], 3), np.nan), np.full(len(pixels), np.nan)
        before: Array | None = None
        for t in range(len(pixels)):
            if not usable(pixels[t], depth[t]):
                before = None
                continue
            q, cost = self.fitted(pixels[t], depth[t], before)
            made[t], costs[t], before = self.landmarks(q), cost, q
        return made, costs

    def fitted(self, pixels: Array, depth: Array, before: Array | None) -> tuple[Array, float]:
        """Pose of one frame and its cost. before: the pose of the frame before, if there was one."""
        starts = [self._start(pixels, depth)] if before is None else [before, self._start(pixels, depth)]
        steps = self.config.first if before is None else self.config.steps
        ends = (self._settled(q, pixels, depth, before, steps) for q in starts)
        return min(ends, key=lambda found: found[1])

    def _settled(self, q: Array, pixels: Array, depth: Array, before: Array | None, steps: int) -> tuple[Array, float]:
        """At first nothing counts as hidden, or the whole hand might hide behind what is seen of it."""
        cost = np.inf
        for share in (32.0, 6.0, 1.0):
            q, cost = self._descend(q, pixels, depth, before, steps, share * self.config.hidden)
        return q, cost

    def _start(self, pixels: Array, depth: Array) -> Array:
        """The palm of a hand at ease laid over the palm that was seen."""
        palm = [k for k in PALM if np.isfinite(depth[k])]
        seen, own = self.camera.lift(pixels[palm], depth[palm]), self._at_rest[palm]
        turn = Rotation.align_vectors(seen - np.median(seen, 0), own - np.median(own, 0))[0]
        at = np.median(seen, 0) - turn.apply(np.median(own, 0))
        return np.r_[at, turn.as_quat(scalar_first=True), self._ease]

    def _descend(
        self, q: Array, pixels: Array, depth: Array, before: Array | None, steps: int, most: float
    ) -> tuple[Array, float]:
        damping = 1e-2
        matrix, right, cost = self._system(q, pixels, depth, before, most)
        for _ in range(steps):
            step = np.linalg.solve(matrix + damping * np.diag(np.diag(matrix)), right)
            moved = q.copy()
            mujoco.mj_integratePos(self.model, moved, np.clip(step, -0.4, 0.4), 1.0)
            moved[7:] = np.clip(moved[7:], self._low, self._high)
            tried = self._system(moved, pixels, depth, before, most)
            if tried[2] < cost:
                done = cost - tried[2] < 1e-3 * cost
                q, (matrix, right, cost), damping = moved, tried, damping / 4
                if done:
                    break
            else:
                damping *= 8
        return q, cost

    def _system(
        self, q: Array, pixels: Array, depth: Array, before: Array | None, most: float
    ) -> tuple[Array, Array, float]:
        """Normal equations (n, n), (n,) of a step from q, and the cost there. most: that a hidden joint may cost."""
        c, model = self.config, self.model
        points = self.landmarks(q)
        mujoco.mj_comPos(model, self.data)
        n, count = model.nv, len(points)
        moves = np.empty((count, 3, n))  # of the landmarks, by every degree of freedom
        for k, body in enumerate(self._bodies):
            mujoco.mj_jac(model, self.data, moves[k], None, points[k], body)
        made = _Normal(n)
        seen = np.flatnonzero(np.isfinite(depth))
        deep = (depth[seen] - points[seen, 2]) / c.depth
        # Behind something else is where a joint is when it is hidden; before all that is seen it hardly can be.
        limit = np.where(deep < 0, most, c.before * most)
        kept = limit / (limit + deep**2)
        made.add(moves[seen, 2] / c.depth, deep, kept**2, kept * deep**2)
        off, rows = self._in_picture(points, moves, pixels)
        square = (off**2).sum(1)
        usual = np.repeat(1 / (1 + square / GUESSED), 2)
        made.add(rows.reshape(-1, n), off.ravel(), usual, GUESSED * np.log1p(square / GUESSED))
        made.add((moves[THUMB_TIP] - moves[INDEX_TIP]) / c.pinch, (points[INDEX_TIP] - points[THUMB_TIP]) / c.pinch)
        made.add(np.eye(n)[6:] / c.ease, (self._ease - q[7:]) / c.ease)
        if before is not None:
            back, scale = np.empty(n), self.period * np.r_[np.full(3, c.move), np.full(n - 3, c.turn)]
            mujoco.mj_differentiatePos(model, back, 1.0, q, before)
            made.add(np.diag(1 / scale), back / scale)
        return made.matrix, made.right, made.cost

    def _in_picture(self, points: Array, moves: Array, pixels: Array) -> tuple[Array, Array]:
        """What landmarks lack in the picture (21, 2), in units of what is tolerated, and how it moves (21, 2, n)."""
        camera, unit = self.camera, self.config.pixels * self.camera.width / 640
        x, y, z = points[:, 0], points[:, 1], np.maximum(points[:, 2], 0.05)
        off = (pixels - camera.project(np.stack([x, y, z], 1))) / unit
        lens = np.zeros((len(points), 2, 3))
        lens[:, 0, 0], lens[:, 0, 2] = camera.fx / z, -camera.fx * x / z**2
        lens[:, 1, 1], lens[:, 1, 2] = camera.fy / z, -camera.fy * y / z**2
        return off, (lens @ moves) / unit

    def landmarks(self, q: Array) -> Array:
        """Landmarks (21, 3) [m]."""
        self.data.qpos[:] = q
        mujoco.mj_kinematics(self.model, self.data)
        return self.data.xpos[self._bodies].copy()


class _Normal:
    """Sums of squares that a step makes smaller."""

    def __init__(self, n: int) -> None:
        self.matrix, self.right, self.cost = np.zeros((n, n)), np.zeros(n), 0.0

    def add(self, rows: Array, off: Array, weights: Array | None = None, costs: Array | None = None) -> None:
        """rows (m, n): how a step lessens what is lacked, off (m,). costs: instead of the squares, of robust kinds."""
        weighed = rows if weights is None else weights[:, None] * rows
        self.matrix += weighed.T @ rows
        self.right += weighed.T @ off
        self.cost += float((off**2 if costs is None else costs).sum())


def usable(pixels: Array, depth: Array) -> bool:
    """Whether there is a hand (21, 2) with enough depth (21,) to go by."""
    return bool(np.isfinite(pixels).all() and np.isfinite(depth[[*PALM]]).sum() >= 3)


def fit_hand(
    pixels: Array, depth: Array, camera: Intrinsics, period: float, config: FitConfig = FitConfig()
) -> tuple[Array, float]:
    """Landmarks (T, 21, 3) [m] by the size of hand that fits best, and that size; arguments as `HandSkeleton` has."""
    seen = np.flatnonzero([usable(*one) for one in zip(pixels, depth, strict=True)])
    if len(seen) == 0:
        raise DataError("no hand was seen with depth in any frame")
    tried = seen[np.linspace(0, len(seen) - 1, min(TRIED, len(seen))).round().astype(int)]
    costs = {}
    for size in SIZES:
        skeleton = HandSkeleton(camera, size, period, config)
        costs[size] = float(np.median([skeleton.fit(pixels[[t]], depth[[t]])[1][0] for t in tried]))
    size = min(costs, key=lambda one: costs[one])
    return HandSkeleton(camera, size, period, config).fit(pixels, depth)[0], size


def _model(size: float) -> mujoco.MjModel:
    rig, spec = load_rig(), mujoco.MjSpec()
    spec.compiler.degree = False
    bodies: dict[str, mujoco.MjsBody] = {}
    for name in JOINTS:
        if name == "wrist":
            body = spec.worldbody.add_body(name=name)
            body.add_freejoint(name="free")
        else:
            local = np.linalg.inv(rig.rest[PARENTS[name]]) @ rig.rest[name]
            quat = Rotation.from_matrix(local[:3, :3]).as_quat(scalar_first=True)
            body = bodies[PARENTS[name]].add_body(name=name, pos=size * local[:3, 3], quat=quat)
            _hinge(body, name)
        body.mass, body.inertia = 0.01, [1e-5, 1e-5, 1e-5]
        body.explicitinertial = True
        bodies[name] = body
    return spec.compile()


def _hinge(body: mujoco.MjsBody, name: str) -> None:
    """Joints as `Rig.pose` bends them: about y to the side, about x to the palm, about the bone."""

    def add(what: str, axis: tuple[int, int, int], limits: tuple[float, float]) -> None:
        body.add_joint(name=f"{name} {what}", axis=axis, range=limits, limited=1)

    if name == CHAINS[0][0]:
        add("spread", (0, 1, 0), THUMB["spread"])
        add("bend", (-1, 0, 0), THUMB["bend"])
        add("turn", (0, 0, 1), THUMB["turn"])
    elif name.endswith("phalanx-proximal") and name.startswith(FINGERS):
        add("spread", (0, 1, 0), SPREAD)
        add("bend", (-1, 0, 0), BEND)
    elif "phalanx" in name:
        add("bend", (-1, 0, 0), BEND)


def _ease(joint: str) -> float:
    """Of a hand that works with thumb and index finger."""
    name, what = joint.split(" ")
    return pinch(AT_WORK).bends.get(name, (0.0, 0.0, 0.0))[("bend", "spread", "turn").index(what)]
