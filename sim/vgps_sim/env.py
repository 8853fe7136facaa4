"""Gymnasium environments: `gymnasium.make("vgps_sim:VGPS/PutSpoonOnTowel-v0")`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import gymnasium as gym
import numpy as np

from vgps_models.spaces import ActionSpec, Array, Observation
from vgps_sim.kinematics import IkError, ToolServo
from vgps_sim.tasks import ALL_TASKS, Place
from vgps_sim.world import World


class ManipulationEnv(gym.Env[dict[str, Any], np.ndarray]):
    """One task at 5 Hz. Reward -1 a step and 0 on success, which ends the episode.

    Observation: "front" and "wrist" (128, 128, 3) uint8, "proprio" (10,) float32
    as `PROPRIO_NAMES`, "instruction" in words. Action: (7,) float32, `ACTION_NAMES`.
    An action that the arm cannot carry out is not carried out; info["refused"] says why.
    """

    metadata: ClassVar[dict[str, Any]] = {"render_modes": ["rgb_array"], "render_fps": 5}

    def __init__(self, task_id: str, render_mode: str | None = None, image_size: int = 128) -> None:
        self.world = World(task_id, image_size=image_size)
        self.spec: ActionSpec = self.world.spec
        self.servo = ToolServo(self.spec)
        self.render_mode = render_mode
        image = gym.spaces.Box(0, 255, (image_size, image_size, 3), np.uint8)
        words = gym.spaces.Text(200, charset="abcdefghijklmnopqrstuvwxyz ")
        proprio = gym.spaces.Box(-2.0, 2.0, (10,), np.float32)
        self.observation_space = gym.spaces.Dict(
            {**dict.fromkeys(self.world.cameras, image), "proprio": proprio, "instruction": words}
        )
        self.action_space = gym.spaces.Box(self.spec.low.astype(np.float32), self.spec.high.astype(np.float32))

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[dict[str, Any], dict]:
        super().reset(seed=seed)
        start(self.world, self.servo, int(self.np_random.integers(1_000_000)) if seed is None else seed)
        return self._observe(), self._info()

    def step(self, action: np.ndarray) -> tuple[dict[str, Any], float, bool, bool, dict[str, Any]]:
        refused = execute(self.world, self.servo, np.asarray(action, dtype=np.float64))
        success = self.world.success
        truncated = not success and self.world.step >= self.world.task.max_steps
        return self._observe(), 0.0 if success else -1.0, success, truncated, self._info(refused)

    def render(self) -> np.ndarray:
        return self.world.render("shoulder", 480, 640)

    def close(self) -> None:
        self.world.close()

    def observation(self) -> Observation:
        """The same moment as a controller of this project sees it."""
        return self.world.observation()

    def _observe(self) -> dict[str, Any]:
        now = self.world.observation()
        return {**now.images, "proprio": now.proprio, "instruction": now.instruction}

    def _info(self, refused: str = "") -> dict[str, Any]:
        return {"success": self.world.success, "events": self.world.events, "seed": self.world.seed, "refused": refused}


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


def env_id(task_id: str) -> str:
    """put_spoon_on_towel -> VGPS/PutSpoonOnTowel-v0."""
    return f"VGPS/{''.join(word.capitalize() for word in task_id.split('_'))}-v0"


def register() -> None:
    """Make all tasks known to Gymnasium (importing vgps_sim.env does it)."""
    for task_id in ALL_TASKS:
        if env_id(task_id) not in gym.registry:
            gym.register(env_id(task_id), entry_point="vgps_sim.env:ManipulationEnv", kwargs={"task_id": task_id})


register()
