"""Joints of a whole motion at once: the tool where it was asked to be, joints that move as little and softly as can be.

A motion is the least sum of squares of
- the tool's errors, in units of what is tolerated,
- third differences of the joints over the frames (jerk),
- the distance to a posture that is wished for (the person's, mapped),
found by damped Gauss-Newton steps. A frame sees three before it, so the equations are banded and a step costs what
its Jacobians do. Positions of the joints stay within their limits.
"""

from __future__ import annotations

from dataclasses import dataclass

import mujoco
import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solveh_banded
from scipy.spatial.transform import Rotation

from vgps_models.errors import DataError, SpecError
from vgps_models.spaces import Array

HELD = 1e12  # stiffness of a joint that must not move


@dataclass(frozen=True)
class Chain:
    """Part of a model: the joints that move a tool."""

    model: mujoco.MjModel
    joints: tuple[str, ...]
    site: str

    @property
    def limits(self) -> tuple[Array, Array]:
        """Lowest and highest positions (n,) [rad]."""
        ranges = np.array([self.model.joint(name).range for name in self.joints])
        return ranges[:, 0], ranges[:, 1]


@dataclass(frozen=True, eq=False)
class Path:
    """Tool poses over T frames: positions (T, 3) [m], rotations (T, 3, 3), in the arm's base frame; seconds a frame."""

    position: Array
    rotation: Array
    period: float

    def __post_init__(self) -> None:
        count = len(self.position)
        shapes = self.position.shape == (count, 3) and self.rotation.shape == (count, 3, 3)
        if count < 4 or not shapes or not np.isfinite(self.position).all() or not np.isfinite(self.rotation).all():
            raise DataError(
                f"a path of positions {self.position.shape} and rotations {self.rotation.shape}; expected finite "
                "(T, 3) and (T, 3, 3), four frames at least"
            )

    def __len__(self) -> int:
        return len(self.position)


@dataclass(frozen=True)
class Weights:
    """What an error costs. A tool that is off by `position` or `rotation` costs as much as one radian of the rest."""

    position: float = 0.004  # [m]
    rotation: float = 0.03  # [rad]
    jerk: float = 60.0  # of a radian a frame^3
    posture: float = 8.0  # of a radian off the wished posture

    def __post_init__(self) -> None:
        if min(self.position, self.rotation) <= 0 or min(self.jerk, self.posture) < 0:
            raise SpecError(f"{self}: tolerances are above 0, weights at least 0")


@dataclass(frozen=True, eq=False)
class Motion:
    """q (T, n) [rad]; errors of the tool [m] and [rad], (T,)."""

    q: Array
    position_error: Array
    rotation_error: Array


class Refiner:
    """Solves motions of one chain."""

    def __init__(self, chain: Chain, weights: Weights | None = None) -> None:
        self.chain, self.weights = chain, weights or Weights()
        model = chain.model
        self._data = mujoco.MjData(model)
        self._site = model.site(chain.site).id
        self._at = np.array([int(model.joint(name).qposadr[0]) for name in chain.joints])
        self._dof = np.array([int(model.joint(name).dofadr[0]) for name in chain.joints])
        self._jacobian = np.zeros((6, model.nv))
        self._low, self._high = chain.limits

    def solve(self, path: Path, posture: Array, *, start: Array | None = None, iterations: int = 12) -> Motion:
        """The motion that follows `path`. posture (T, n): wished for; start (T, n): where the search begins."""
        n = len(self.chain.joints)
        if posture.shape != (len(path), n):
            raise DataError(f"a posture of {posture.shape} for {len(path)} frames of {n} joints")
        w, count = self.weights, len(path)
        q = np.clip(posture if start is None else start, self._low, self._high)
        smooth, damping = _smoothness(count, n, w), 1e-3
        matrix, right, cost = self._system(q, path, posture, smooth)
        for _ in range(iterations):
            damped = matrix.copy()
            damped[-1] *= 1 + damping
            damped[-1, self._held(q, right).ravel()] += HELD
            step = np.clip(solveh_banded(damped, right, lower=False).reshape(count, n), -0.5, 0.5)
            moved = np.clip(q + step, self._low, self._high)
            tried = self._system(moved, path, posture, smooth)
            if tried[2] < cost:
                done = cost - tried[2] < 1e-4 * cost
                q, (matrix, right, cost), damping = moved, tried, damping / 5
                if done:
                    break
            else:
                damping *= 10
        return Motion(q, *self.errors(q, path))

    def _held(self, q: Array, right: Array) -> NDArray[np.bool_]:
        """Joints that are at a limit and would go beyond it (T, n): they stay, and the others make up for it."""
        pull = right.reshape(q.shape)
        return ((q <= self._low) & (pull < 0)) | ((q >= self._high) & (pull > 0))

    def errors(self, q: Array, path: Path) -> tuple[Array, Array]:
        """Of the tool at joints q (T, n): (T,) [m] and (T,) [rad]."""
        off = np.array([self._off(q[t], path, t) for t in range(len(path))])
        return np.linalg.norm(off[:, :3], axis=1), np.linalg.norm(off[:, 3:], axis=1)

    def _off(self, q: Array, path: Path, t: int) -> Array:
        """What the tool lacks, position [m] and rotation vector [rad] in the base frame (6,)."""
        data = self._data
        data.qpos[self._at] = q
        mujoco.mj_kinematics(self.chain.model, data)
        turned = data.site_xmat[self._site].reshape(3, 3)
        turn = Rotation.from_matrix(path.rotation[t] @ turned.T).as_rotvec()
        return np.concatenate([path.position[t] - data.site_xpos[self._site], turn])

    def _system(self, q: Array, path: Path, posture: Array, smooth: Array) -> tuple[Array, Array, float]:
        """Banded normal equations of a step, upper form (bands, T * n), their right side (T * n,), and the cost."""
        w, (count, n) = self.weights, q.shape
        matrix, right = smooth.copy(), np.zeros((count, n))
        bands = len(matrix) - 1
        scale = np.r_[np.full(3, 1 / w.position), np.full(3, 1 / w.rotation)]
        cost = 0.0
        for t in range(count):
            off = scale * self._off(q[t], path, t)
            mujoco.mj_comPos(self.chain.model, self._data)
            mujoco.mj_jacSite(self.chain.model, self._data, self._jacobian[:3], self._jacobian[3:], self._site)
            jacobian = scale[:, None] * self._jacobian[:, self._dof]
            block = jacobian.T @ jacobian
            for i in range(n):
                for j in range(i, n):
                    matrix[bands - (j - i), t * n + j] += block[i, j]
            right[t] = jacobian.T @ off
            cost += float(off @ off)
        right += w.posture**2 * posture - _banded_product(smooth, q)
        cost += float(w.posture**2 * ((posture - q) ** 2).sum() + w.jerk**2 * (np.diff(q, 3, axis=0) ** 2).sum())
        return matrix, right.ravel(), cost


def _smoothness(count: int, n: int, w: Weights) -> Array:
    """Constant part of the normal equations, upper banded: jerk and posture. (3 n + 1, T * n)."""
    made = np.zeros((3 * n + 1, count * n))
    row = np.array([-1.0, 3.0, -3.0, 1.0])
    outer = w.jerk**2 * np.outer(row, row)
    for i in range(4):
        for j in range(i, 4):
            columns = ((np.arange(count - 3) + j)[:, None] * n + np.arange(n)).ravel()
            made[3 * n - (j - i) * n, columns] += outer[i, j]
    made[-1] += w.posture**2
    return made


def _banded_product(matrix: Array, q: Array) -> Array:
    """A symmetric matrix in upper banded form times q. Shape of q."""
    bands, flat = len(matrix) - 1, q.ravel()
    out = matrix[-1] * flat
    for offset in range(1, bands + 1):
        values = matrix[bands - offset, offset:]
        out[:-offset] += values * flat[offset:]
        out[offset:] += values * flat[:-offset]
    return out.reshape(q.shape)
