"""The ids under which Gymnasium knows the tasks. Importing vgps_sim registers them, whichever is imported first."""

from __future__ import annotations

import sys

from vgps_models.importing import when_imported


def env_id(task_id: str) -> str:
    """put_spoon_on_towel -> VGPS/PutSpoonOnTowel-v0."""
    return f"VGPS/{''.join(word.capitalize() for word in task_id.split('_'))}-v0"


def register() -> None:
    """Make all tasks known to Gymnasium. The environment itself is imported when the first one is made."""
    import gymnasium

    from vgps_sim.tasks import ALL_TASKS  # knows MuJoCo, which most who import vgps_sim need not

    for task_id in ALL_TASKS:
        if env_id(task_id) not in gymnasium.registry:
            gymnasium.register(env_id(task_id), entry_point="vgps_sim.env:ManipulationEnv", kwargs={"task_id": task_id})


def register_with_gymnasium() -> None:
    """Register now where Gymnasium is imported, otherwise as soon as it is: it is not imported for this alone."""
    if "gymnasium" in sys.modules:
        register()
    else:
        when_imported("gymnasium", after=register)
