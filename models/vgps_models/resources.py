"""Finds the files of `launch/`: launch files, the contract, transport profiles. Knows no ROS and no torch."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from vgps_models.errors import MissingDependencyError

PACKAGE = "vgps"
MARKER = Path("share/ament_index/resource_index/packages")  # holds a file for each package that a prefix has
HERE = Path(__file__).resolve()


def prefixes(environment: Mapping[str, str] = os.environ, module: Path = HERE) -> Iterator[Path]:
    """Install prefixes that may hold the ament package `vgps`, best first.

    The prefix that `module` is installed in comes first (venv, --user, --target, colcon install space), so that code
    and files are of one version; then the ament index, in its order; then the prefix of the running Python.
    """
    seen: set[Path] = set()
    index = [Path(root) for root in environment.get("AMENT_PREFIX_PATH", "").split(os.pathsep) if root]
    for prefix in (*module.parents, *index, Path(sys.prefix)):
        if prefix not in seen and (prefix / MARKER / PACKAGE).exists():
            seen.add(prefix)
            yield prefix


def launch_file(*parts: str, environment: Mapping[str, str] = os.environ, module: Path = HERE) -> Path:
    """A file under `launch/`: of the source tree that this code runs from, otherwise of the installed package.

    Raises MissingDependencyError that names every place searched.
    """
    source = module.parents[2] / "launch"
    places = [source, *(prefix / "share" / PACKAGE / "launch" for prefix in prefixes(environment, module))]
    for place in places:
        path = place.joinpath(*parts)
        if path.exists():
            return path
    raise MissingDependencyError(
        f"{'/'.join(parts)} is in none of {', '.join(map(str, places))}; in a source tree run `make setup`, otherwise "
        "install vgps again"
    )
