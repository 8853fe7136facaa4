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

PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")  # Kilted on, up to Jazzy
DISCOVERY_VARIABLE = "ROS_AUTOMATIC_DISCOVERY_RANGE"
WHEELS_GUARD = "_ROS_WHEELS_BOOTSTRAP_COMPLETE"
MESSAGES = "vgps_msgs"


def launch_file(*parts: str) -> Path:
    """A file under `launch/`: of the source tree if we run from one, otherwise the installed one."""
    source = Path(__file__).resolve().parents[2] / "launch"
    installed = Path(sys.prefix) / "share" / "vgps" / "launch"
    tried = [root.joinpath(*parts) for root in (source, installed)]
    for path in tried:
        if path.exists():
            return path
    raise MissingDependencyError(f"{'/'.join(parts)} is neither in {source} nor in {installed}; run `make setup`")


def uses_wheels() -> bool:
    """Whether ROS 2 comes from pip wheels in this environment, not from a sourced installation."""
    return importlib.util.find_spec("ros_wheels_bootstrapper") is not None


def complete(environment: MutableMapping[str, str], prefix: Path = Path(sys.prefix)) -> None:
    """Add to `environment` what rclpy looks for. Values that are set stay as they are."""
    roots = [r for r in environment.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if r]
    if str(prefix) not in roots:  # ours first: a vgps_msgs of another workspace must not win
        environment["AMENT_PREFIX_PATH"] = os.pathsep.join([str(prefix), *roots])
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
    if not uses_wheels():
        preload_messages(Path(sys.prefix) / "lib")


def preload_messages(folder: Path) -> int:
    """Load the libraries of `vgps_msgs` from `folder`; how many there were.

    rosidl opens them by bare name. The wheels restart Python with the folder on LD_LIBRARY_PATH;
    where a ROS 2 is sourced only its own folders are there, but a loaded library is found by name.
    """
    libraries = sorted(folder.glob(f"lib{MESSAGES}__*.so"))
    for library in libraries:
        with contextlib.suppress(OSError):  # no ROS 2 is sourced: whoever imports rclpy will hear of it
            ctypes.CDLL(str(library), mode=ctypes.RTLD_GLOBAL)
    return len(libraries)


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
