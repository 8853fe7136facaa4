"""Which OpenGL MuJoCo draws with when there is no screen. To be asked before mujoco is imported."""

from __future__ import annotations

import ctypes
import os

from vgps_models.errors import MissingDependencyError

LIBRARIES = {"egl": ("libEGL.so.1",), "osmesa": ("libOSMesa.so.8", "libOSMesa.so.6")}
MEND = "on Debian or Ubuntu: sudo apt-get install libegl1 libgl1-mesa-dri libgles2 libosmesa6"


def choose_renderer() -> None:
    """Set MUJOCO_GL where the user has not and there is no display.

    Without any library physics still runs, and the first picture says what to install.
    Raises MissingDependencyError when the user asked for a library that is not there:
    MuJoCo would fail to import with a message about an attribute of None.
    """
    wanted = os.environ.get("MUJOCO_GL", "").lower()
    if wanted in LIBRARIES and not available(wanted):
        others = [name for name in LIBRARIES if available(name)]
        instead = f"; or set MUJOCO_GL={others[0]}, which is here" if others else ""
        raise MissingDependencyError(f"MUJOCO_GL={wanted}, but its library is missing; {MEND}{instead}")
    if not wanted and not os.environ.get("DISPLAY"):
        os.environ["MUJOCO_GL"] = next((name for name in LIBRARIES if available(name)), "disabled")


def available(name: str) -> bool:
    """Whether the library of `egl` or `osmesa` can be loaded."""
    for library in LIBRARIES[name]:
        try:
            ctypes.CDLL(library)
        except OSError:
            continue
        return True
    return False
