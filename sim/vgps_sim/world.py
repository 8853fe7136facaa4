"""One arm, one table, the things of one task: Physics that steps by control periods."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from vgps_models.errors import SpecError, UnknownNameError
from vgps_models.spaces import ActionSpec, Array, Image, Observation
from vgps_sim.arms import get_arm, tool_down
from vgps_sim.domain import TARGET, Domain, Looks, add_clutter
from vgps_sim.kinematics import JointCommand, ToolServo
from vgps_sim.renderers import Renderers
from vgps_sim.scene import CAMERA_NAMES, project, scene_spec
from vgps_sim.tabletop import Tabletop
from vgps_sim.tasks import EVENTS, Place, Task, get_task, number_of

MAX_STEPS = 60  # control steps after which an episode counts as failed


@dataclass(frozen=True)
class JointState:
    """Measured joints: q (6,) [rad], velocity (6,) [rad/s], gripper opening 0..1."""

    q: Array
    velocity: Array
    gripper: float


class World(Tabletop):
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
        self.task: Task = get_task(task_id)
        self.image_size, self.cameras = image_size, tuple(cameras)
        self.spec = spec or ActionSpec()
        self.arm = get_arm(self.spec.arm)
        scene = scene_spec(self.arm, self.task.things)
        add_clutter(scene, domain)
        super().__init__(scene.compile(), self.task.things)
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
        self._looks = Looks(self.model, domain)
        self._renderers = Renderers(self.model)
        self.seed, self.step, self.closed_for, self.happened = 0, 0, 0, set[str]()

    # -- time ------------------------------------------------------------

    def reset(self, seed: int, places: Mapping[str, Place] | None = None) -> None:
        """Lay out the things and bring the arm home, all drawn from `seed` but the `places` that are given."""
        rng = np.random.default_rng([number_of(self.task.id), abs(int(seed))])
        places = {**self.task.layout(rng), **(places or {})}
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
        self.put_all(places, heights)
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
        return self._renderers.draw(self.data, camera, height, width)

    def filmed(self, camera: str, height: int, width: int) -> tuple[Image, Array]:
        """A picture (height, width, 3) and its depth (height, width) [m]."""
        return self.render(camera, height, width), self.depth(camera, height, width)

    def depth(self, camera: str, height: int, width: int) -> Array:
        """Of every pixel of such a picture, along the camera's axis (height, width) [m]."""
        if camera not in CAMERA_NAMES:
            raise UnknownNameError("camera", camera, CAMERA_NAMES)
        return self._renderers.depth(self.data, camera, height, width)

    def project(self, camera: str, point: Array) -> tuple[float, float, bool]:
        """Where a point of the base frame appears: (u, v) in 0..1 from the upper left, and whether in view."""
        return project(self.model, self.data, camera, point)

    # -- Physics, as tasks ask it ----------------------------------------

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
        self._renderers.close()
