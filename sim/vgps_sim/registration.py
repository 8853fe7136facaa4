"""The ids under which Gymnasium knows the tasks. Importing vgps_sim registers them."""

from __future__ import annotations

import gymnasium as gym

from vgps_sim.tasks import ALL_TASKS


def env_id(task_id: str) -> str:
    """put_spoon_on_towel -> VGPS/PutSpoonOnTowel-v0."""
    return f"VGPS/{''.join(word.capitalize() for word in task_id.split('_'))}-v0"


def register() -> None:
    """Make all tasks known to Gymnasium. The environment itself is imported when the first one is made."""
    for task_id in ALL_TASKS:
        if env_id(task_id) not in gym.registry:
            gym.register(env_id(task_id), entry_point="vgps_sim.env:ManipulationEnv", kwargs={"task_id": task_id})
