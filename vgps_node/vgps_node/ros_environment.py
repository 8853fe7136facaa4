"""What a process needs around it before it imports rclpy, whichever ROS 2 it uses.

`prepare()` runs once, first thing, in every process that imports rclpy. It sets
nothing that the user has set already. No ROS is imported here.
"""

from __future__ import annotations

import contextlib
import ctypes
import importlib.util
import os
import sys
from collections.abc import Mapping, MutableMapping
from pathlib import Path

from vgps_models.errors import MissingDependencyError
from vgps_models.resources import MARKER, launch_file, prefixes

PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")  # Kilted on, up to Jazzy
DISCOVERY_VARIABLE = "ROS_AUTOMATIC_DISCOVERY_RANGE"
WHEELS_GUARD = "_ROS_WHEELS_BOOTSTRAP_COMPLETE"
MESSAGES = "vgps_msgs"


def uses_wheels() -> bool:
    """Whether ROS 2 comes from pip wheels in this environment, not from a sourced installation."""
    return importlib.util.find_spec("ros_wheels_bootstrapper") is not None


def prefix_of(package: str) -> Path | None:
    """Install prefix of the ament package whose Python module of the same name would be imported now; None if none.

    Nothing is imported.
    """
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return None
    return next((root for root in Path(spec.origin).parents if (root / MARKER / package).exists()), None)


def complete(environment: MutableMapping[str, str]) -> None:
    """Add to `environment` what rclpy and the ament index look for. Values that are set stay as they are.

    A prefix that is missing from AMENT_PREFIX_PATH is put in front, so that the interface libraries found are those of
    the modules that Python imports; a prefix that the user has sourced keeps its place.
    """
    roots = [root for root in environment.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if root]
    own = [prefix_of(MESSAGES), next(prefixes(environment), None), prefix_of("rclpy")]
    missing = [str(prefix) for prefix in dict.fromkeys(own) if prefix is not None and str(prefix) not in roots]
    if missing or roots:
        environment["AMENT_PREFIX_PATH"] = os.pathsep.join([*missing, *roots])
    environment.setdefault(DISCOVERY_VARIABLE, "LOCALHOST")
    # The profile keeps UDP on the loopback interface, so it would cut off a graph that spans machines.
    chosen = any(environment.get(name) for name in PROFILE_VARIABLES)
    if environment[DISCOVERY_VARIABLE] == "LOCALHOST" and not chosen:
        with contextlib.suppress(MissingDependencyError):  # images suffer without it; `vgps doctor` says so
            profile = str(launch_file("config", "fastdds.xml"))
            environment.update(dict.fromkeys(PROFILE_VARIABLES, profile))


def prepare() -> None:
    """Make this process ready to import rclpy and `vgps_msgs`. Cheap, and safe to call again."""
    complete(os.environ)
    prefix = prefix_of(MESSAGES)
    if prefix is not None:
        preload_messages(prefix / "lib")


def preload_messages(folder: Path) -> int:
    """Load the libraries of our interface packages from `folder`; returns how many there are.

    rosidl opens them by bare name. The ROS wheels restart Python with LD_LIBRARY_PATH set to the folder of the virtual
    environment alone; a sourced ROS 2 has only its own folders there. A library that is loaded is found by its name.
    """
    libraries = sorted(folder.glob(f"lib{MESSAGES}__*.so"))
    if folder_is_searched(folder):
        return len(libraries)
    for library in libraries:
        with contextlib.suppress(OSError):  # no ROS 2 is sourced: the import of rclpy fails with its own message
            ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
    return len(libraries)


def folder_is_searched(folder: Path) -> bool:
    """Whether the dynamic linker of this process looks into `folder`."""
    return str(folder) in os.environ.get("LD_LIBRARY_PATH", "").split(os.pathsep)


def foreign_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """A copy for starting the Python of ANOTHER environment.

    The guard of the ROS wheels is dropped, or that Python would not find its own libraries; so are
    this environment's libraries and its own idea of where packages lie.
    """
    own = Path(sys.prefix).resolve()
    copy = {k: v for k, v in environment.items() if k not in (WHEELS_GUARD, "VIRTUAL_ENV", "PYTHONHOME")}
    for name in ("LD_LIBRARY_PATH", "AMENT_PREFIX_PATH"):
        kept = [p for p in copy.pop(name, "").split(os.pathsep) if p and not Path(p).resolve().is_relative_to(own)]
        if kept:
            copy[name] = os.pathsep.join(kept)
    return copy
