"""The ids under which Gymnasium knows the tasks. Importing vgps_sim registers them, whichever is imported first."""

from __future__ import annotations

import importlib.abc
import importlib.util
import sys
from importlib.machinery import ModuleSpec
from types import ModuleType


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
    elif not any(isinstance(finder, _AfterGymnasium) for finder in sys.meta_path):
        sys.meta_path.insert(0, _AfterGymnasium())


class _AfterGymnasium(importlib.abc.MetaPathFinder):
    """Finds Gymnasium as it would be found without it, and registers the tasks once that is imported."""

    def find_spec(self, fullname: str, path: object = None, target: object = None) -> ModuleSpec | None:
        if fullname != "gymnasium":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def then_register(module: ModuleType) -> None:
                execute(module)
                register()

            spec.loader.exec_module = then_register  # type: ignore[method-assign]
        return spec
