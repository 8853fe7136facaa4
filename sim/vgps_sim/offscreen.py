"""Which OpenGL draws pictures: $MUJOCO_GL where the user has set it, else the first that works without a window."""

from __future__ import annotations

import os

from vgps_models.errors import MissingDependencyError
from vgps_sim.gl_contexts import KINDS, LIBRARIES, Context, ContextError, load

MEND = "on Debian or Ubuntu: sudo apt-get install libegl1 libgl1-mesa-dri libgles2 libosmesa6"
ANY = ("", "enable", "enabled", "on", "true", "1")  # values of MUJOCO_GL that leave the choice open, as MuJoCo has them
NONE = ("disable", "disabled", "off", "false", "0")

_chosen = ""  # what draws in this process; MuJoCo finds the functions of OpenGL once


def wanted(environment: dict[str, str] | os._Environ[str] = os.environ) -> str:
    """What MUJOCO_GL asks for: a name in `KINDS`, "" for any, or "off". Raises MissingDependencyError for a typo."""
    value = environment.get("MUJOCO_GL", "").strip().lower()
    if value in ANY:
        return ""
    if value in NONE:
        return "off"
    value = "glfw" if value == "glx" else value
    if value not in KINDS:
        raise MissingDependencyError(
            f"MUJOCO_GL={value} is no renderer, and MuJoCo cannot be imported with it; choose one of: "
            f"{', '.join(KINDS)}; or unset MUJOCO_GL"
        )
    return value


def check_renderer() -> None:
    """Raises MissingDependencyError when the user asks for a library that is not there.

    MuJoCo would fail to import with a message about an attribute of None. Without any library and without such a wish
    physics still runs, and the first picture says what to install.
    """
    name = wanted()
    if name in LIBRARIES and not available(name):
        raise MissingDependencyError(f"MUJOCO_GL={name}, but its library is missing; {MEND}{_instead(name)}")


def available(name: str) -> bool:
    """Whether the library of `egl` or `osmesa` can be loaded."""
    try:
        load(name)
    except ContextError:
        return False
    return True


def make_context() -> Context:
    """A context to draw in. Raises MissingDependencyError that says what to install or to set."""
    global _chosen
    asked = wanted()
    if asked == "off":
        raise MissingDependencyError(
            f"MUJOCO_GL={os.environ['MUJOCO_GL']} turns pictures off; unset it, or set MUJOCO_GL=egl"
        )
    problems = []
    for name in _candidates(_chosen or asked):
        try:
            context = KINDS[name]()
        except (ContextError, ImportError) as error:
            problems.append(f"{name}: {error}")
        else:
            _chosen = name
            return context
    if asked:
        raise MissingDependencyError(
            f"MUJOCO_GL={asked} cannot draw here ({'; '.join(problems)}); unset MUJOCO_GL{_instead(asked)}"
        )
    raise MissingDependencyError(f"no off-screen OpenGL for MuJoCo ({'; '.join(problems)}); {MEND}")


def in_use() -> str:
    """What draws in this process; empty before the first picture."""
    return _chosen


def _candidates(asked: str) -> tuple[str, ...]:
    if asked:
        return (asked,)
    window = ("glfw",) if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") else ()
    return (*LIBRARIES, *window)


def _instead(name: str) -> str:
    others = [other for other in LIBRARIES if other != name and available(other)]
    return f"; or set MUJOCO_GL={others[0]}, which is here" if others else ""
