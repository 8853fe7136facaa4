"""From tool displacements to joint targets: what the gate and the environment both run.

Frames: poses are of the tool in the arm's base frame; rotations are 3x3, their
columns the tool's axes. Joint positions `q` are in radians, shape (6,).
"""

from __future__ import annotations

from dataclasses import dataclass

import mink
import mujoco
import numpy as np
from scipy.spatial.transform import Rotation

from vgps_models.errors import SpecError, VgpsError
from vgps_models.spaces import GRIPPER, ActionSpec, Array
from vgps_sim.arms import Arm, arm_spec, get_arm, tool_down

MOVE_FRACTION = 0.7  # of a control step in which the joints travel; the rest is for settling


class IkError(VgpsError):
    """No joint position within the limits brings the tool where it was asked to be."""


@dataclass(frozen=True)
class JointCommand:
    """Joint targets for one control step.

    q: (6,) [rad]; gripper: opening 0..1; duration: of the motion there [s].
    """

    q: Array
    gripper: float
    duration: float


@dataclass(frozen=True, eq=False)
class ServoState:
    """What a `ToolServo` has commanded: joints (6,) [rad], gripper 0..1, tool position (3,) [m], rotation (3, 3)."""

    q: Array
    gripper: float
    position: Array
    rotation: Array


class ToolKinematics:
    """Forward kinematics of one arm."""

    def __init__(self, arm: Arm | None = None) -> None:
        self.arm = arm or get_arm("widowx_ai")
        self.model = _kinematic_model(self.arm)
        self._data = mujoco.MjData(self.model)
        self._site = self.model.site(self.arm.tool_site).id

    def pose(self, q: Array) -> tuple[Array, Array]:
        """Tool position (3,) [m] and rotation (3, 3) at joint position `q`."""
        self._data.qpos[:6] = q
        mujoco.mj_kinematics(self.model, self._data)
        return self._data.site_xpos[self._site].copy(), self._data.site_xmat[self._site].reshape(3, 3).copy()

    def proprio(self, q: Array, gripper: float) -> np.ndarray:
        """What a policy is told of the arm, `PROPRIO_NAMES`. Shape (10,) float32."""
        position, rotation = self.pose(q)
        return np.concatenate([position, rotation[:, 0], rotation[:, 1], [gripper]]).astype(np.float32)


class ToolServo:
    """Integrates displacements into a COMMANDED tool pose and solves for the joints.

    Integrating into the commanded rather than the measured pose keeps tracking
    errors from adding up; warm starting from the last solution keeps the joints
    on one branch. When the arm cannot follow, the commanded pose is pulled back
    to where the joints really end, so that it never winds up.
    """

    ITERATIONS = 12
    TOLERANCE = 2e-4  # [m] and, times ten, [rad]
    MAX_ERROR = 0.04  # [m] farther off than it can have been before: the solution is no solution

    def __init__(self, spec: ActionSpec | None = None) -> None:
        self.spec = spec or ActionSpec()
        self.arm = get_arm(self.spec.arm)
        self.kinematics = ToolKinematics(self.arm)
        model = self.kinematics.model
        self._configuration = mink.Configuration(model)
        self._task = mink.FrameTask(
            self.arm.tool_site, "site", position_cost=1.0, orientation_cost=0.3, lm_damping=1e-4
        )
        self._limits = [
            mink.ConfigurationLimit(model),
            mink.CollisionAvoidanceLimit(
                model,
                [(list(_TOUCHING), ["table"])],
                minimum_distance_from_collisions=0.001,
                collision_detection_distance=0.03,
            ),
        ]
        self._velocity = np.asarray(self.arm.velocity_limits)
        self._low, self._high = np.asarray(self.arm.workspace_low), np.asarray(self.arm.workspace_high)
        self.reset(np.asarray(self.arm.home), 1.0)

    @property
    def duration(self) -> float:
        """Time in which the joints travel [s]."""
        return MOVE_FRACTION * self.spec.period

    def reset(self, q: Array, gripper: float) -> None:
        """Command the pose in which the arm is."""
        self.q = np.array(q, dtype=np.float64)
        self.gripper = float(gripper)
        self.position, self.rotation = self.kinematics.pose(self.q)

    def state(self) -> ServoState:
        """All that its future commands depend on."""
        return ServoState(self.q.copy(), self.gripper, self.position.copy(), self.rotation.copy())

    def set_state(self, state: ServoState) -> None:
        """Go back to a `state()` of a servo of the same arm."""
        self.q, self.gripper = state.q.copy(), state.gripper
        self.position, self.rotation = state.position.copy(), state.rotation.copy()

    def hold(self) -> JointCommand:
        """Stay at the last joint targets."""
        return JointCommand(self.q.copy(), self.gripper, self.duration)

    def command(self, action: Array) -> JointCommand:
        """Joint targets that carry out `action` (7,), shortened to the spec's limits.

        Raises IkError, and changes nothing, when the pose cannot be reached.
        """
        action = np.asarray(action, dtype=np.float64)
        if action.shape != (7,) or not np.isfinite(action).all():
            raise SpecError("an action must be seven finite numbers")
        action = self.spec.clip(action)
        position = np.clip(self.position + action[:3], self._low, self._high)
        rotation = Rotation.from_rotvec(action[3:6]).as_matrix() @ self.rotation
        q = self._solve(position, rotation, self.q)
        reached, turned = self.kinematics.pose(q)
        if not np.isfinite(q).all() or np.linalg.norm(reached - position) > self.MAX_ERROR:
            raise IkError(
                f"the arm cannot bring its tool to {np.round(position, 3)} m; it would stop at {np.round(reached, 3)}"
            )
        # Solver residue is kept out of the commanded pose unless a limit stopped the arm for good.
        stuck = np.linalg.norm(reached - position) > 0.003 or _angle(turned, rotation) > 0.05
        self.q, self.gripper = q, float(action[GRIPPER])
        self.position, self.rotation = (reached, turned) if stuck else (position, rotation)
        return self.hold()

    def solve_home(self) -> Array:
        """Joint position of the arm's home: the tool over the table, pointing down. Shape (6,)."""
        return self.solve(np.asarray(self.arm.home_position), tool_down(0.0), np.asarray(self.arm.home))

    def solve(self, position: Array, rotation: Array, start: Array) -> Array:
        """Joint position that brings the tool as near as it gets, however far from `start`. Shape (6,)."""
        q = np.asarray(start, dtype=np.float64)
        at, turned = self.kinematics.pose(q)
        turn = Rotation.from_matrix(rotation @ turned.T).as_rotvec()
        # In small steps: the collision limit is linear and sees only what is near.
        steps = int(np.ceil(max(np.linalg.norm(position - at) / 0.025, np.linalg.norm(turn) / 0.3, 1.0)))
        for fraction in np.r_[np.linspace(0.0, 1.0, steps + 1)[1:], 1.0, 1.0]:
            partly = Rotation.from_rotvec(fraction * turn).as_matrix() @ turned
            q = self._solve(at + fraction * (position - at), partly, q, limit_speed=False)
        return q

    def _solve(self, position: Array, rotation: Array, q: Array, *, limit_speed: bool = True) -> Array:
        configuration, full = self._configuration, np.zeros(self.kinematics.model.nq)
        full[:6] = q
        configuration.update(full)
        self._task.set_target(mink.SE3.from_rotation_and_translation(mink.SO3.from_matrix(rotation), position))
        for _ in range(self.ITERATIONS):
            try:
                velocity = mink.solve_ik(configuration, [self._task], 1.0, "daqp", 1e-6, limits=self._limits)
            except mink.MinkError as error:
                raise IkError(f"inverse kinematics has no solution here: {error}") from error
            configuration.integrate_inplace(velocity, 1.0)
            error = self._task.compute_error(configuration)
            if np.abs(error[:3]).max() < self.TOLERANCE and np.abs(error[3:]).max() < 10 * self.TOLERANCE:
                break
        solution = configuration.q[:6].copy()
        if limit_speed:  # all joints slow down together, so that the tool stays on its way
            reach = self._velocity * self.duration
            solution = q + (solution - q) / max(1.0, float((np.abs(solution - q) / reach).max()))
        return solution


def _angle(a: Array, b: Array) -> float:
    return float(np.linalg.norm(Rotation.from_matrix(a.T @ b).as_rotvec()))


_TOUCHING = ("left_pad", "right_pad", "hand", "wrist_camera")


def _kinematic_model(arm: Arm) -> mujoco.MjModel:
    """The arm over its table without anything to draw or to grasp."""
    spec = arm_spec(arm)
    hand = [g for g in spec.body("link_6").geoms if g.classname.name == "collision"]
    hand[1].name, hand[2].name = "hand", "wrist_camera"
    for geom in list(spec.geoms):
        if geom.classname.name == "visual":
            spec.delete(geom)
    for mesh in list(spec.meshes):
        spec.delete(mesh)
    spec.worldbody.add_geom(
        name="table",
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[0.5, 0.5, 0.02],
        pos=[0.3, 0, -0.02],
        contype=2,
        conaffinity=3,
    )
    return spec.compile()
