"""The tasks as Gymnasium environments.

    import gymnasium
    env = gymnasium.make("vgps_sim:VGPS/PutSpoonOnTowel-v0", render_mode="rgb_array")
    observation, info = env.reset(seed=0)
    observation, reward, terminated, truncated, info = env.step(env.action_space.sample())

`vgps_sim:` imports this package, which registers the ids; after `import vgps_sim` they work without it. `env_id` makes
the id of a task. Vectors of environments, synchronous and asynchronous, by fork and by spawn, work as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np

from vgps_models.errors import UnknownNameError
from vgps_models.spaces import ActionSpec, Array, Observation
from vgps_sim.kinematics import IkError, ToolServo
from vgps_sim.registration import env_id, register
from vgps_sim.tasks import Place
from vgps_sim.words import Words
from vgps_sim.world import World

__all__ = ["ManipulationEnv", "env_id", "execute", "register", "start"]

FILM = (480, 640)  # height and width of what `render` returns [px]


class ManipulationEnv(gym.Env[dict[str, Any], np.ndarray]):
    """One task at 5 Hz. Reward -1 a step and 0 on success, which ends the episode; it is truncated after the task's
    longest time.

    Observation: "front" and "wrist" (image_size, image_size, 3) uint8, "proprio" (10,) float32 as `PROPRIO_NAMES`,
    "instruction" in words (a tuple of them in a vector of environments).

    Action: (7,) float32, `ACTION_NAMES`. A displacement that is too long is shortened to the limits of the action
    space and keeps its direction; the gripper opens from 0.5 on. An action that the arm cannot carry out, that is of
    another shape or is not finite is not carried out: the arm holds, and info["refused"] says why; otherwise it is
    empty.

    info: "success", "events" (subgoals reached so far), "seed" (of the layout), "refused", "instruction".

    reset: `seed` is the seed of the layout, as everywhere in this project; without one it is drawn from the seed
    before. The same seed and the same actions give the same episode.

    render: with render_mode "rgb_array" the view over the shoulder, (480, 640, 3) uint8.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 5}

    def __init__(self, task_id: str, render_mode: str | None = None, image_size: int = 128) -> None:
        if render_mode is not None and render_mode not in self.metadata["render_modes"]:
            raise UnknownNameError("render mode", render_mode, self.metadata["render_modes"])
        self.world = World(task_id, image_size=image_size)
        self.action_spec: ActionSpec = self.world.spec
        self.servo = ToolServo(self.action_spec)
        self.render_mode = render_mode
        image = gym.spaces.Box(0, 255, (image_size, image_size, 3), np.uint8)
        words = Words(200, charset="abcdefghijklmnopqrstuvwxyz ")
        proprio = gym.spaces.Box(-2.0, 2.0, (10,), np.float32)
        self.observation_space = gym.spaces.Dict(
            {**dict.fromkeys(self.world.cameras, image), "proprio": proprio, "instruction": words}
        )
        low, high = (bound.astype(np.float32) for bound in (self.action_spec.low, self.action_spec.high))
        self.action_space = gym.spaces.Box(low, high)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict[str, Any], dict]:
        super().reset(seed=seed)
        start(self.world, self.servo, int(self.np_random.integers(1_000_000)) if seed is None else seed)
        return self._observe(), self._info()

    def step(self, action: np.ndarray) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        refused = self._no_action(action)
        if refused:
            self.world.apply(self.servo.hold())
        else:
            refused = execute(self.world, self.servo, np.asarray(action, dtype=np.float64))
        success = self.world.success
        truncated = not success and self.world.step >= self.world.task.max_steps
        return self._observe(), 0.0 if success else -1.0, success, truncated, self._info(refused)

    def render(self) -> np.ndarray | None:
        """None without a render mode, as Gymnasium has it."""
        if self.render_mode is None:
            gym.logger.warn('render() without a render mode draws nothing; make the environment with "rgb_array"')
            return None
        return self.world.render("shoulder", *FILM)

    def close(self) -> None:
        self.world.close()

    def observation(self) -> Observation:
        """The same moment as a controller of this project sees it."""
        return self.world.observation()

    def _no_action(self, action: Any) -> str:
        """Why this is no action at all; empty when it is one."""
        shape = (len(self.action_spec.names),)
        try:
            values = np.asarray(action, dtype=np.float64)
        except (TypeError, ValueError):
            return f"an action is {shape[0]} numbers, not {str(action)[:80]}"
        if values.shape != shape:
            return f"an action has shape {shape}, not {values.shape}"
        if not np.isfinite(values).all():
            return f"an action is finite, not {values.tolist()}"
        return ""

    def _observe(self) -> dict[str, Any]:
        now = self.world.observation()
        return {**now.images, "proprio": now.proprio, "instruction": now.instruction}

    def _info(self, refused: str = "") -> dict[str, Any]:
        world = self.world
        return {
            "success": world.success, "events": world.events, "seed": world.seed, "refused": refused,
            "instruction": world.task.instruction,
        }  # fmt: skip


def start(world: World, servo: ToolServo, seed: int, places: Mapping[str, Place] | None = None) -> None:
    """Reset a world and command the pose in which its arm starts. places: see `World.reset`."""
    world.reset(seed, places)
    joints = world.joints()
    servo.reset(joints.q, joints.gripper)


def execute(world: World, servo: ToolServo, action: Array) -> str:
    """Carry out one action; hold, and say why, when the arm cannot."""
    try:
        command, refused = servo.command(action), ""
    except IkError as error:
        command, refused = servo.hold(), str(error)
    world.apply(command)
    return refused
