"""The simulated world behind `sim_node`: episodes, stamps and three ways to pass time. Knows no ROS.

lockstep   an observation waits for its command; nothing happens meanwhile. Reproducible.
latency    as lockstep, but the world moves on by `latency` before a command takes effect. Reproducible.
realtime   the world moves by the wall clock, and a command takes effect when it comes.

Between episodes the world is idle: whatever the clock, it moves by the wall clock and the arm holds its pose. Stamps
are simulated time and never go back: an episode begins one control step after the last stamp.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from vgps_models.errors import UnknownNameError, VgpsError
from vgps_models.spaces import Array, Image
from vgps_node.bringup import require_clock
from vgps_node.moments import ArmState, Moment, TaskState
from vgps_sim.kinematics import JointCommand
from vgps_sim.scene import FRONT, WRIST
from vgps_sim.tasks import ALL_TASKS
from vgps_sim.world import MAX_STEPS, World

NANO = 1_000_000_000


class NoEpisodeError(VgpsError):
    """Something was asked of a world in which no episode has begun."""


@dataclass(frozen=True, eq=False)
class Snapshot:
    """One observation, as it is published."""

    task: TaskState
    arm: ArmState
    images: Mapping[str, Image]
    depth: Array | None = None  # [m] over the front camera's picture, where it is asked for


class Simulation:
    """Episodes in one world a task; worlds are made when first needed and kept.

    slice: time by which a world that runs by the wall clock moves at once [s]. depth: snapshots have it.
    """

    def __init__(
        self,
        *,
        max_steps: int = MAX_STEPS,
        slice: float = 0.008,
        depth: bool = False,
        make_world: Callable[[str], World] = World,
    ) -> None:
        self.max_steps = max_steps
        self._limit = max_steps  # of the episode that runs
        self.slice, self.depth = slice, depth
        self.clock, self.latency = "lockstep", 0.0
        self._make_world = make_world
        self._worlds: dict[str, World] = {}
        self._world: World | None = None
        self._base = 0  # [ns] stamp at which the episode began
        self._state = TaskState(Moment(0))
        self._command: JointCommand | None = None  # what the arm was last told
        self._travelled = self._into_step = 0.0  # [s] time spent on it; time into the control step
        self._loop_ms = -1.0  # of the newest command that came

    # Time

    def set_clock(self, clock: str, latency: float = 0.0) -> None:
        """How time passes from the next observation on. latency: [s]."""
        require_clock(clock, latency)
        self.clock, self.latency = clock, latency

    @property
    def stamp(self) -> int:
        """Now [ns]."""
        return self._base + (round(self._world.time * NANO) if self._world else 0)

    @property
    def state(self) -> TaskState:
        """As of the last whole control step."""
        return self._state

    @property
    def running(self) -> bool:
        """An episode has begun and is not over."""
        return self._state.episode > 0 and not self._state.done

    @property
    def waiting(self) -> bool:
        """Time stands still until a command comes."""
        return self.running and self.clock != "realtime"

    # Episodes

    def wake(self) -> None:
        """Set up a first world, with the arm at home, so that there is something to see before the first episode."""
        if self._world is None:
            self._enter(next(iter(ALL_TASKS)), 0)

    def reset(self, task: str, seed: int, *, instruction: str = "", max_steps: int = 0) -> TaskState:
        """Begin an episode; unknown tasks are refused and leave the present one as it is.

        instruction: what is told to do; empty for the task's own sentence. max_steps: control steps after which it is
        over; 0 for those of every episode.
        """
        if task not in ALL_TASKS:
            raise UnknownNameError("task", task, ALL_TASKS)
        world = self._enter(task, seed)
        self._limit = max_steps or self.max_steps
        sentence = instruction or world.task.instruction
        self._state = TaskState(Moment(0, seed), task, sentence, self._state.episode + 1)
        return self._note()

    def _enter(self, task: str, seed: int) -> World:
        """Go into the world of a task, laid out by `seed`, one control step after the last stamp."""
        if task not in self._worlds:
            self._worlds[task] = self._make_world(task)
        world = self._worlds[task]
        self._base, self._world = self.stamp + round(world.spec.period * NANO), world
        world.reset(seed)
        joints = world.joints()
        self._command = JointCommand(joints.q, joints.gripper, world.spec.period)
        self._travelled, self._into_step, self._loop_ms = 0.0, 0.0, -1.0
        return world

    def step(self, command: JointCommand | None = None, *, loop_ms: float = -1.0) -> TaskState:
        """Lockstep and latency: one control step towards `command`, or on towards the last one, after the latency."""
        world, last = self._episode()
        command = command or last
        if self.clock == "latency" and self.latency:
            world.advance(last, max(1, round(self.latency / world.model.opt.timestep)))
        world.apply(command)
        self._command, self._loop_ms = command, loop_ms
        return self._note()

    def direct(self, command: JointCommand, *, loop_ms: float = -1.0) -> None:
        """Realtime: follow `command` from now on."""
        self._episode()
        self._command, self._travelled, self._loop_ms = command, 0.0, loop_ms

    def tick(self) -> bool:
        """Realtime and idle: move on by one slice. True when that ended a control period."""
        world, command = self._present()
        left = max(command.duration - self._travelled, world.model.opt.timestep)
        world.advance(replace(command, duration=left), round(self.slice / world.model.opt.timestep))
        self._travelled += self.slice
        self._into_step += self.slice
        if self._into_step < world.spec.period - 1e-9:
            return False
        self._into_step = 0.0
        if self.running:
            world.step += 1
            world.happened |= world.task.events(world)
            self._note()
        return True

    def _episode(self) -> tuple[World, JointCommand]:
        if self._state.episode == 0:
            raise NoEpisodeError("no episode has begun; call /sim/reset first")
        return self._present()

    def _present(self) -> tuple[World, JointCommand]:
        """The world that there is, in an episode or idle, and the last command."""
        if self._world is None or self._command is None:
            raise NoEpisodeError("there is no world yet; call /sim/reset first")
        return self._world, self._command

    def _note(self) -> TaskState:
        world, _ = self._episode()
        success, loop_ms, self._loop_ms = world.success, self._loop_ms, -1.0
        self._state = replace(
            self._state,
            moment=Moment(self.stamp, world.seed, world.step),
            events=tuple(world.events),
            success=success,
            done=success or world.step >= self._limit,
            loop_ms=loop_ms,
        )
        return self._state

    # What can be seen

    def arm(self) -> ArmState:
        world, _ = self._present()
        joints = world.joints()
        return ArmState(joints.q, joints.gripper, joints.velocity)

    def snapshot(self) -> Snapshot:
        """The present observation."""
        world, _ = self._present()
        depth = world.depth(FRONT, world.image_size, world.image_size) if self.depth else None
        return Snapshot(self._state, self.arm(), world.images(), depth)

    def camera_frames(self) -> dict[str, tuple[bool, Array]]:
        """Cameras by name: whether it rides on the tool, and its pose (4, 4) [m] in the tool's or else the base frame.

        A camera's x is to the right, y down, z forward.
        """
        world, _ = self._present()
        tool = np.eye(4)
        tool[:3, 3], tool[:3, :3] = world.tool_pose()
        poses = {name: (name == WRIST, world.camera_pose(name)) for name in world.cameras}
        return {name: (rides, np.linalg.inv(tool) @ pose if rides else pose) for name, (rides, pose) in poses.items()}

    def fovy(self, camera: str) -> float:
        """Vertical field of view [deg]."""
        world, _ = self._present()
        return float(world.model.camera(camera).fovy[0])

    def close(self) -> None:
        for world in self._worlds.values():
            world.close()
        self._worlds.clear()
        self._world = None
