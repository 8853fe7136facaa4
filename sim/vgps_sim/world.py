"""One arm, one table, the things of one task: Physics that steps by control periods."""

from __future__ import annotations

import atexit
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property

import mujoco
import numpy as np

from vgps_models.errors import MissingDependencyError, SpecError, UnknownNameError
from vgps_models.spaces import ActionSpec, Array, Image, Observation
from vgps_sim.arms import get_arm, tool_down
from vgps_sim.domain import TARGET, Domain, Looks
from vgps_sim.kinematics import JointCommand, ToolServo
from vgps_sim.objects import get_thing
from vgps_sim.offscreen import MEND
from vgps_sim.scene import CAMERA_NAMES, scene_spec
from vgps_sim.tasks import EVENTS, TASKS, Place, get_task

MAX_STEPS = 60  # control steps after which an episode counts as failed


@dataclass(frozen=True)
class JointState:
    """Measured joints: q (6,) [rad], velocity (6,) [rad/s], gripper opening 0..1."""

    q: Array
    velocity: Array
    gripper: float


class World:
    """A task's scene. The same seed and the same commands give bit-equal states."""

    def __init__(
        self,
        task_id: str,
        *,
        image_size: int = 128,
        cameras: Sequence[str] = ("front", "wrist"),
        spec: ActionSpec | None = None,
        domain: Domain = TARGET,
    ) -> None:
        if unknown := set(cameras) - set(CAMERA_NAMES):
            raise UnknownNameError("camera", sorted(unknown)[0], CAMERA_NAMES)
        self.task, self.image_size, self.cameras = get_task(task_id), image_size, tuple(cameras)
        self.spec = spec or ActionSpec()
        self.arm = get_arm(self.spec.arm)
        self.model = scene_spec(self.arm, self.task.things).compile()
        self.data = mujoco.MjData(self.model)
        self._substeps = round(self.spec.period / self.model.opt.timestep)
        if not np.isclose(self._substeps * self.model.opt.timestep, self.spec.period):
            raise SpecError(
                f"a control period of {self.spec.period} s is no multiple of the physics step, "
                f"{self.model.opt.timestep} s"
            )
        self._servo = ToolServo(self.spec)  # for home poses and forward kinematics only
        self._home = self._servo.solve_home()
        self._site = self.model.site(self.arm.tool_site).id
        self._pads = [self.model.geom(pad).id for pad in self.arm.pads]
        self._bodies = {name: self.model.body(name).id for name in self.task.things}
        self._looks = Looks(self.model, domain)
        self._renderers: dict[tuple[int, int], mujoco.Renderer] = {}
        self.seed, self.step, self.closed_for, self.happened = 0, 0, 0, set[str]()
        _open.add(self)

    # -- time ------------------------------------------------------------

    def reset(self, seed: int) -> None:
        """Lay out the things and bring the arm home, all drawn from `seed`."""
        rng = np.random.default_rng([list(TASKS).index(self.task.id), abs(int(seed))])
        places = self.task.layout(rng)
        offset, yaw, opening = rng.uniform(-0.02, 0.02, 3), rng.uniform(-0.15, 0.15), 1.0
        target = np.asarray(self.arm.home_position) + offset - [0.0, 0.0, 0.02]
        self.place(places, self.solve(target, tool_down(yaw)), opening)
        self.vary_looks(rng)
        mujoco.mj_step(self.model, self.data, 50)  # things settle
        self.data.time = 0.0
        mujoco.mj_forward(self.model, self.data)
        self.seed, self.step, self.closed_for, self.happened = int(seed), 0, 0, set()
        self._note_events()

    def place(
        self, places: dict[str, Place], q: Array, gripper: float, heights: dict[str, float] | None = None
    ) -> None:
        """Put things and arm somewhere, at rest. `heights` lifts a thing's frame [m] from where it would lie."""
        mujoco.mj_resetData(self.model, self.data)
        for name, place in places.items():
            z = get_thing(name).rest_height + (heights or {}).get(name, 0.0)
            pose = [place.x, place.y, z, np.cos(place.yaw / 2), 0.0, 0.0, np.sin(place.yaw / 2)]
            if get_thing(name).movable:
                self.data.joint(f"{name}_free").qpos[:] = pose
            else:
                mocap = self.model.body_mocapid[self._bodies[name]]
                self.data.mocap_pos[mocap], self.data.mocap_quat[mocap] = pose[:3], pose[3:]
        self.data.qpos[:6] = q
        self.data.qpos[6:8] = gripper * self.arm.gripper_travel
        self.data.ctrl[:6], self.data.ctrl[6] = q, gripper * self.arm.gripper_travel
        mujoco.mj_forward(self.model, self.data)

    def apply(self, command: JointCommand) -> None:
        """Advance one control step towards `command`: travel, then settle."""
        self.advance(command, self._substeps)
        self.step += 1
        self.closed_for = self.closed_for + 1 if command.gripper < 0.5 else 0
        self._note_events()

    def advance(self, command: JointCommand, substeps: int) -> None:
        """Move the joint targets to `command` over its duration and step the physics."""
        start = self.data.ctrl[:6].copy()
        moving = max(1, round(command.duration / self.model.opt.timestep))
        self.data.ctrl[6] = np.clip(command.gripper, 0.0, 1.0) * self.arm.gripper_travel
        for i in range(substeps):
            fraction = min(1.0, (i + 1) / moving)
            self.data.ctrl[:6] = start + fraction * (command.q - start)
            mujoco.mj_step(self.model, self.data)
        mujoco.mj_forward(self.model, self.data)

    def _note_events(self) -> None:
        self.happened |= self.task.events(self)

    # -- what can be seen and asked --------------------------------------

    @property
    def time(self) -> float:
        """Simulated time since the reset [s]."""
        return float(self.data.time)

    @property
    def success(self) -> bool:
        return self.task.success(self)

    @property
    def events(self) -> tuple[str, ...]:
        """Subgoals reached so far, in their natural order."""
        return tuple(e for e in EVENTS if e in self.happened)

    def joints(self) -> JointState:
        gripper = float(self.data.qpos[6]) / self.arm.gripper_travel
        return JointState(self.data.qpos[:6].copy(), self.data.qvel[:6].copy(), float(np.clip(gripper, 0.0, 1.0)))

    @property
    def commanded_gripper(self) -> float:
        """Opening 0..1 that the gripper was last told."""
        return float(self.data.ctrl[6]) / self.arm.gripper_travel

    def tool_pose(self) -> tuple[Array, Array]:
        """Measured tool position (3,) [m] and rotation (3, 3) in the base frame."""
        return self.data.site_xpos[self._site].copy(), self.data.site_xmat[self._site].reshape(3, 3).copy()

    def state(self) -> Array:
        """The whole physical state, comparable bit by bit."""
        size = mujoco.mj_stateSize(self.model, mujoco.mjtState.mjSTATE_INTEGRATION)
        state = np.empty(size)
        mujoco.mj_getState(self.model, self.data, state, mujoco.mjtState.mjSTATE_INTEGRATION)
        return state

    def set_state(self, state: Array) -> None:
        """Go back to a `state()` of a world of the same task."""
        mujoco.mj_setState(self.model, self.data, state, mujoco.mjtState.mjSTATE_INTEGRATION)
        mujoco.mj_forward(self.model, self.data)

    def observation(self) -> Observation:
        """What a controller may see now."""
        joints = self.joints()
        return Observation(
            images=self.images(),
            proprio=self.proprio(joints),
            instruction=self.task.instruction,
            stamp=self.time,
            key=(self.seed, self.step),
        )

    def proprio(self, joints: JointState) -> np.ndarray:
        """Tool pose and gripper as a policy is told, shape (10,) float32."""
        return self._servo.kinematics.proprio(joints.q, joints.gripper)

    def solve(self, position: Array, rotation: Array) -> Array:
        """Joint position that brings the tool as near as it gets, from home. Shape (6,) [rad]."""
        return self._servo.solve(position, rotation, self._home)

    def images(self) -> dict[str, Image]:
        return {name: self.render(name, self.image_size, self.image_size) for name in self.cameras}

    def render(self, camera: str, height: int, width: int) -> Image:
        """An RGB picture, shape (height, width, 3) uint8."""
        if camera not in CAMERA_NAMES:
            raise UnknownNameError("camera", camera, CAMERA_NAMES)
        if (height, width) not in self._renderers:
            self._renderers[height, width] = _renderer(self.model, height, width)
        renderer = self._renderers[height, width]
        renderer.update_scene(self.data, camera, self._drawn)
        return renderer.render().copy()

    @cached_property
    def _drawn(self) -> mujoco.MjvOption:
        option = mujoco.MjvOption()
        option.geomgroup[:] = (1, 1, 1, 0, 0, 0)
        option.sitegroup[:] = 0
        return option

    def project(self, camera: str, point: Array) -> tuple[float, float, bool]:
        """Where a point of the base frame appears: (u, v) in 0..1 from the upper left, and whether in view."""
        index = self.model.camera(camera).id
        local = self.data.cam_xmat[index].reshape(3, 3).T @ (np.asarray(point) - self.data.cam_xpos[index])
        if local[2] > -1e-3:
            return 0.0, 0.0, False
        scale = 0.5 / np.tan(np.deg2rad(self.model.cam_fovy[index]) / 2)
        u, v = 0.5 + scale * local[0] / -local[2], 0.5 - scale * local[1] / -local[2]
        return float(u), float(v), bool(0 <= u <= 1 and 0 <= v <= 1)

    # -- Physics, as tasks ask it ----------------------------------------

    def position(self, thing: str) -> Array:
        return self.data.xpos[self._bodies[thing]].copy()

    def yaw(self, thing: str) -> float:
        """Direction of the thing's x axis in the table's plane [rad]."""
        x_axis = self.data.xmat[self._bodies[thing]].reshape(3, 3)[:, 0]
        return float(np.arctan2(x_axis[1], x_axis[0]))

    def speed(self, thing: str) -> float:
        return float(np.linalg.norm(self.data.cvel[self._bodies[thing], 3:]))

    def touches(self, a: str, b: str) -> bool:
        pair = {self._bodies[a], self._bodies[b]}
        return any({int(x), int(y)} == pair for x, y in self.model.geom_bodyid[self.data.contact.geom])

    def finger_contacts(self, thing: str) -> int:
        """How many of the two fingers touch it."""
        touching = set()
        for first, second in self.data.contact.geom:
            for pad, other in ((first, second), (second, first)):
                if pad in self._pads and self.model.geom_bodyid[other] == self._bodies[thing]:
                    touching.add(int(pad))
        return len(touching)

    # -- the rest --------------------------------------------------------

    def vary_looks(self, rng: np.random.Generator) -> None:
        """Light, colours and cameras differ from seed to seed, as far as the domain says."""
        self._looks.vary(self.data, rng)

    def close(self) -> None:
        """Give the renderers' contexts back."""
        for renderer in self._renderers.values():
            # MuJoCo frees what belongs to the context that is current, which may be another world's.
            if renderer._gl_context:
                renderer._gl_context.make_current()
            renderer.close()
        self._renderers.clear()


_open: weakref.WeakSet[World] = weakref.WeakSet()


@cache
def _close_at_exit() -> None:
    """Close all worlds before MuJoCo takes GL apart. To be asked after the first renderer was made:
    what is registered last runs first."""
    atexit.register(lambda: [world.close() for world in list(_open)])


def _renderer(model: mujoco.MjModel, height: int, width: int) -> mujoco.Renderer:
    try:
        renderer = mujoco.Renderer(model, height, width)
    except Exception as error:  # each GL backend raises its own
        raise MissingDependencyError(
            f"no off-screen OpenGL for MuJoCo ({error}); {MEND}, then leave MUJOCO_GL unset"
        ) from error
    _close_at_exit()
    return renderer
