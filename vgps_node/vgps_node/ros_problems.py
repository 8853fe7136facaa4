"""Environment variables that keep ROS 2 from working: what is wrong with each, and what mends it. Imports no ROS."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import url2pathname
from xml.etree import ElementTree

from vgps_models.errors import MissingDependencyError

PROFILE_VARIABLES = ("FASTDDS_DEFAULT_PROFILES_FILE", "FASTRTPS_DEFAULT_PROFILES_FILE")  # Kilted on, up to Jazzy
DISCOVERY_VARIABLE = "ROS_AUTOMATIC_DISCOVERY_RANGE"
REACHES = ("LOCALHOST", "SUBNET", "SYSTEM_DEFAULT", "OFF")
LAST_DOMAIN = 232  # the ports of a higher one lie above 65535
SAFE_DOMAINS = "0 to 101"  # on Linux: the ports of most others can be taken by any outgoing connection
DISTRIBUTIONS = ("humble", "iron", "jazzy", "kilted", "lyrical", "rolling")
SHADOWED = ("rclpy", "numpy", "yaml", "scipy", "torch", "mujoco", "vgps_models", "vgps_sim", "vgps_node", "vgps_msgs")


class RosEnvironmentError(MissingDependencyError):
    """An environment variable with which no node can start; the message names it and what mends it."""


@dataclass(frozen=True)
class Problem:
    """state: "missing" where no node starts or hears another, "note" where it works but not as it reads.

    fatal: whether rclpy fails at once, with a message of its C library or none at all.
    """

    variable: str
    detail: str
    mend: str
    state: str = "missing"
    fatal: bool = False


def problems(environment: Mapping[str, str] = os.environ) -> list[Problem]:
    """All that can be seen without ROS. environment: of the processes that will run, as `complete` leaves it."""
    checks = (_middleware, _domain, _discovery, _profiles, _cyclone, _distribution, _paths)
    return [problem for check in checks for problem in check(environment)]


def check(environment: Mapping[str, str] = os.environ) -> None:
    """Raises RosEnvironmentError for what rclpy would fail on without a clear message. Cheap."""
    for find in (_middleware, _domain):
        for problem in find(environment):
            if problem.fatal:
                raise RosEnvironmentError(f"{problem.detail}. To mend it: {problem.mend}")


def installed_middlewares(environment: Mapping[str, str]) -> set[str]:
    """As the ament index lists them; empty where there is no index to read."""
    names = {
        entry.name
        for root in _folders(environment, "AMENT_PREFIX_PATH")
        for entry in _entries(root / "share" / "ament_index" / "resource_index" / "rmw_typesupport")
    }
    return names - {"rmw_implementation"}


def wheels_distribution() -> str:
    """Of the ROS 2 that is installed as pip wheels; empty for none."""
    if importlib.util.find_spec("ros_wheels_bootstrapper") is None:
        return ""
    for name in DISTRIBUTIONS:
        try:
            importlib.metadata.version(f"ros-{name}-rclpy")
        except importlib.metadata.PackageNotFoundError:
            continue
        return name
    return ""


def _middleware(environment: Mapping[str, str]) -> Iterator[Problem]:
    chosen, here = environment.get("RMW_IMPLEMENTATION", ""), installed_middlewares(environment)
    if chosen and here and chosen not in here:
        package = f"ros-{environment.get('ROS_DISTRO', 'jazzy')}-{chosen.strip().replace('_', '-')}"
        install = "" if wheels_distribution() else f", or: sudo apt-get install {package}"
        yield Problem(
            "RMW_IMPLEMENTATION",
            f"RMW_IMPLEMENTATION={chosen} is not installed here; installed: {', '.join(sorted(here))}",
            f"unset RMW_IMPLEMENTATION{install}", fatal=True,
        )  # fmt: skip


def _domain(environment: Mapping[str, str]) -> Iterator[Problem]:
    text = environment.get("ROS_DOMAIN_ID", "")
    if not text:
        return
    mend = f"export ROS_DOMAIN_ID=0, or another from {SAFE_DOMAINS}"
    if not re.fullmatch(r"[0-9]+", text) or int(text) > LAST_DOMAIN:
        detail = f"ROS_DOMAIN_ID={text} is no domain; it is a whole number from 0 to {LAST_DOMAIN}"
        yield Problem("ROS_DOMAIN_ID", detail, mend, fatal=True)
    elif 101 < int(text) < 215:
        detail = f"ROS_DOMAIN_ID={text}: on Linux its ports can be taken by any outgoing connection"
        yield Problem("ROS_DOMAIN_ID", detail, mend, "note")


def _discovery(environment: Mapping[str, str]) -> Iterator[Problem]:
    reach, local = environment.get(DISCOVERY_VARIABLE, ""), environment.get("ROS_LOCALHOST_ONLY", "")
    if reach == "OFF":
        detail = f"{DISCOVERY_VARIABLE}=OFF: the nodes of a graph do not find each other"
        yield Problem(DISCOVERY_VARIABLE, detail, f"unset {DISCOVERY_VARIABLE}")
    elif reach and reach not in REACHES:
        detail = f"{DISCOVERY_VARIABLE}={reach} is none of {', '.join(REACHES)}; ROS takes it for LOCALHOST"
        yield Problem(DISCOVERY_VARIABLE, detail, f"export {DISCOVERY_VARIABLE}=LOCALHOST", "note")
    if local not in ("", "0", "1"):
        yield Problem(
            "ROS_LOCALHOST_ONLY", f"ROS_LOCALHOST_ONLY={local} is ignored", "unset ROS_LOCALHOST_ONLY", "note"
        )
    elif local == "1" and reach not in ("", "LOCALHOST"):
        detail = f"ROS_LOCALHOST_ONLY=1 wins over {DISCOVERY_VARIABLE}={reach}: other machines are not reached"
        yield Problem("ROS_LOCALHOST_ONLY", detail, "unset ROS_LOCALHOST_ONLY", "note")


def _profiles(environment: Mapping[str, str]) -> Iterator[Problem]:
    """The profile of Fast DDS; one that cannot be read leaves the transports that lose camera images."""
    if "cyclone" in environment.get("RMW_IMPLEMENTATION", ""):
        return
    for name in PROFILE_VARIABLES:
        if (path := environment.get(name)) and (why := _no_xml(Path(path))):
            yield Problem(name, f"{name}={path} {why}", f"unset {' '.join(PROFILE_VARIABLES)}")


def _cyclone(environment: Mapping[str, str]) -> Iterator[Problem]:
    value = environment.get("CYCLONEDDS_URI", "").strip()
    if not value:
        return
    if "cyclone" not in environment.get("RMW_IMPLEMENTATION", ""):
        detail = "CYCLONEDDS_URI is set, but Cyclone DDS is not what RMW_IMPLEMENTATION chooses"
        yield Problem("CYCLONEDDS_URI", detail, "unset CYCLONEDDS_URI", "note")
        return
    for part in value.split(",") if not value.startswith("<") else ():
        path = Path(url2pathname(urlsplit(part).path) if part.startswith("file:") else part)
        if why := _no_xml(path):
            yield Problem("CYCLONEDDS_URI", f"CYCLONEDDS_URI names {path}, which {why}", "unset CYCLONEDDS_URI")
            return


def _distribution(environment: Mapping[str, str]) -> Iterator[Problem]:
    sourced, ours = environment.get("ROS_DISTRO", ""), wheels_distribution()
    if ours and sourced and sourced != ours:
        detail = f"ROS 2 {sourced} is sourced in this shell, and the environment holds ROS 2 {ours}"
        yield Problem("ROS_DISTRO", detail, "use a shell in which no ROS 2 is sourced", "note")
    for name in ("AMENT_PREFIX_PATH", "PYTHONPATH"):
        paths = environment.get(name, "").split(os.pathsep)
        found = [m[1] for path in paths if (m := re.match(r"/opt/ros/(\w+)", path))]
        if others := sorted(set(found) - {ours or sourced}):
            detail = f"{name} leads to ROS 2 {', '.join(others)}, and {ours or sourced or 'none'} is used"
            yield Problem(name, detail, "use a shell in which only one ROS 2 is sourced", "note")


def _paths(environment: Mapping[str, str]) -> Iterator[Problem]:
    """Packages that PYTHONPATH puts before those of this environment."""
    version, prefix = f"python{sys.version_info[0]}.{sys.version_info[1]}", Path(sys.prefix).resolve()
    for folder in _folders(environment, "PYTHONPATH"):
        if folder.resolve().is_relative_to(prefix):
            continue
        other = re.search(r"python3\.\d+", str(folder))
        if other and other[0] != version and any(_holds(folder, name) for name in SHADOWED):
            detail = f"PYTHONPATH holds packages of {other[0]} ({folder}); this is {version}"
            yield Problem("PYTHONPATH", detail, "unset PYTHONPATH")
            continue
        own = _checkout() in (folder.resolve(), *folder.resolve().parents)
        hidden = [name for name in SHADOWED if _holds(folder, name)]
        if hidden and not own and wheels_distribution():
            detail = f"PYTHONPATH takes {', '.join(hidden)} from {folder}, not from this environment"
            yield Problem("PYTHONPATH", detail, "unset PYTHONPATH", "missing" if "rclpy" in hidden else "note")


def _checkout() -> Path:
    return Path(__file__).resolve().parents[2]


def _holds(folder: Path, name: str) -> bool:
    return (folder / name / "__init__.py").is_file() or (folder / f"{name}.py").is_file()


def _folders(environment: Mapping[str, str], name: str) -> list[Path]:
    return [Path(part) for part in environment.get(name, "").split(os.pathsep) if part]


def _entries(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _no_xml(path: Path) -> str:
    """Why a file cannot be read as XML; empty when it can."""
    try:
        ElementTree.parse(path)
    except OSError as error:
        return f"cannot be read ({error.strerror})"
    except (ElementTree.ParseError, ValueError) as error:
        return f"is no XML ({error})"
    return ""
