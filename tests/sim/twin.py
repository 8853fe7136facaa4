"""A real controller for evaluation tests: the scripted expert with noise, on a twin of the world.

It sees the simulator's truth by playing along: its own world, reset to the same seed, executes the
same actions. Its "argmax" is a perfect critic, so best-of-K must beat the one noisy sample.
"""

from __future__ import annotations

import numpy as np

from vgps_models.spaces import Array, Decision, Observation, noise
from vgps_sim.env import start
from vgps_sim.episode import joint_command
from vgps_sim.experts import Expert
from vgps_sim.kinematics import ToolServo
from vgps_sim.tasks import TASKS
from vgps_sim.world import World


class Twin:
    """Candidates are the expert's next H actions plus noise of `sigma` [m]; scores are the negative error [cm]."""

    HORIZON = 4

    def __init__(self, k: int = 1, rule: str = "first", sigma: float = 0.012, execute: int = 2) -> None:
        self.k, self.rule, self.sigma, self.execute = k, rule, sigma, execute
        self.expert = Expert()
        self.worlds: dict[str, World] = {}
        self.servo = ToolServo()

    def __call__(self, observation: Observation) -> Decision:
        world, ghost = self._worlds(observation.instruction)
        seed, step = observation.key
        if step == 0:
            start(world, self.servo, seed)
            start(ghost, ToolServo(), seed)
        plan = self._plan(world, ghost)
        error = np.zeros((self.k, self.HORIZON, 7))
        error[:, :, :3] = noise(observation.key, (self.k, 1, 3)) * self.sigma
        candidates = plan + error
        score = -100.0 * np.linalg.norm(error[:, 0, :3], axis=-1)
        chosen = {"first": 0, "last": self.k - 1, "argmax": int(score.argmax())}[self.rule]
        for action in candidates[chosen, : self.execute]:
            world.apply(joint_command(self.servo, action))
        scores = {"mean": score, "std": np.full(self.k, 0.1)} if self.rule == "argmax" else {}
        return Decision(candidates[chosen], candidates, chosen=chosen, ms={"policy": 1.0, "value": 0.5}, **scores)

    def _plan(self, world: World, ghost: World) -> Array:
        ghost.set_state(world.state())
        ghost.closed_for = world.closed_for
        servo = ToolServo()
        servo.reset(self.servo.q, self.servo.gripper)
        actions = []
        for _ in range(self.HORIZON):
            actions.append(self.expert.act(ghost))
            ghost.apply(joint_command(servo, actions[-1]))
        return np.array(actions)

    def _worlds(self, instruction: str) -> tuple[World, World]:
        task = next(t.id for t in TASKS.values() if t.instruction == instruction)
        for name in (task, f"{task} ghost"):
            if name not in self.worlds:
                self.worlds[name] = World(task)
        return self.worlds[task], self.worlds[f"{task} ghost"]
