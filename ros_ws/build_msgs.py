"""Build `vgps_msgs` with CMake and Ninja straight into the running environment.

    .venv/bin/python ros_ws/build_msgs.py            build if the interfaces changed
    .venv/bin/python ros_ws/build_msgs.py --check    exit 0 if they are built and fresh, 1 if not
    .venv/bin/python ros_ws/build_msgs.py FOLDER     build the interface package in FOLDER into the environment as well

On the pip wheels of ROS 2 and on a sourced ROS 2 alike the result lies in `sys.prefix`, so nothing has to be sourced
for `vgps`. Its Python modules lie in a folder of their own, so that the `ros2` of a sourced ROS 2, which has another
Python, can be given them without the other libraries of the environment. The wheels lack tf2_msgs; what /tf needs of it
is built too. On a ROS 2 workstation `colcon build` works as well. Standard library only: it runs before anything else
is installed.
"""

from __future__ import annotations

import argparse
import contextlib
import fcntl
import hashlib
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

PACKAGE = "vgps_msgs"
HERE = Path(__file__).resolve().parent
SOURCE = HERE / "src" / PACKAGE
MISSING_IN_WHEELS = HERE / "wheels" / "tf2_msgs"
PYTHON_FOLDER = "ros/python"  # of the prefix


class BuildError(RuntimeError):
    """The interfaces could not be built; the message says what to do."""


def interface_files(source: Path = SOURCE) -> list[Path]:
    """Every file the build depends on, in a fixed order."""
    folders = (("msg", "*.msg"), ("srv", "*.srv"), ("action", "*.action"))
    found = [path for folder, pattern in folders for path in sorted((source / folder).glob(pattern))]
    return [*found, source / "CMakeLists.txt", source / "package.xml"]


def rclpy_version() -> str:
    """Version of the ROS 2 that is built against, whichever way it came."""
    for name in ("ros-rclpy", "rclpy"):
        try:
            return f"{name} {importlib.metadata.version(name)}"
        except importlib.metadata.PackageNotFoundError:
            continue
    return "none"


def fingerprint(source: Path = SOURCE, ros: str | None = None) -> str:
    """Hash of interface files, Python, rclpy and layout: what makes a build stale."""
    digest = hashlib.sha256()
    for path in interface_files(source):
        digest.update(path.relative_to(source).as_posix().encode() + b"\0" + path.read_bytes() + b"\0")
    facts = (platform.python_version(), platform.machine(), sys.base_prefix, PYTHON_FOLDER, ros or rclpy_version())
    digest.update("\0".join(facts).encode())
    return digest.hexdigest()


def stamp_file(prefix: Path, package: str = PACKAGE) -> Path:
    """Where a finished build leaves its fingerprint."""
    return prefix / "share" / package / "build.stamp"


def is_fresh(prefix: Path, expected: str, package: str = PACKAGE) -> bool:
    """Whether `prefix` holds a finished build with this fingerprint."""
    stamp = stamp_file(prefix, package)
    return stamp.is_file() and stamp.read_text().strip() == expected


def patch_wheel_exports(share: Path) -> list[Path]:
    """Point the wheels' CMake files at this interpreter; the changed files.

    They carry the include folders of the machine the wheels were made on (/opt/python/cp3XX...).
    """
    here = {"python": sysconfig.get_path("include"), "numpy": ""}
    changed = []
    for path in sorted(share.glob("*/cmake/export_*__rosidl_generator_pyExport.cmake")):
        text = path.read_text()
        if "/opt/python/" not in text:
            continue
        if not here["numpy"]:
            import numpy  # the wheels of rclpy bring it

            here["numpy"] = numpy.get_include()
        new = re.sub(r"/opt/python/[^\";]*/numpy/(?:_core|core)/include", here["numpy"], text)
        new = re.sub(r"/opt/python/[^\";]*/include/python3\.\d+", here["python"], new)
        # Replace the name, not the content: pip may have linked the file from a cache.
        fresh = path.with_suffix(".patched")
        fresh.write_text(new)
        fresh.replace(path)
        changed.append(path)
    return changed


def require_tools(path: str) -> None:
    """Refuse early, and name what to install."""
    missing = [name for name in ("cmake", "ninja") if not shutil.which(name, path=path)]
    if missing:
        raise BuildError(f"{' and '.join(missing)} not found; run `pip install cmake ninja` in {sys.prefix}")
    if not any(shutil.which(name, path=path) for name in ("c++", "g++", "clang++")):
        raise BuildError("no C++ compiler; run `sudo apt-get install g++`")
    header = Path(sysconfig.get_path("include"), "Python.h")
    if not header.is_file():
        raise BuildError(f"{header} is missing; run `sudo apt-get install python3-dev`")


def remove_old(prefix: Path, package: str) -> None:
    """Forget an older build, so that a message which was deleted is not still there."""
    site = Path(sysconfig.get_path("purelib"))  # where earlier versions put the modules
    for folder in (prefix / "share", prefix / "include", site, prefix / PYTHON_FOLDER):
        shutil.rmtree(folder / package, ignore_errors=True)
    for library in (prefix / "lib").glob(f"lib{package}__*.so"):
        library.unlink()


@contextlib.contextmanager
def alone(prefix: Path) -> Iterator[None]:
    """One build at a time in an environment; a second one waits."""
    (prefix / "var").mkdir(exist_ok=True)
    with (prefix / "var" / f"{PACKAGE}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def build(prefix: Path, source: Path) -> None:
    """Configure, build and install one package into `prefix`. Raises BuildError with the end of the log."""
    package = source.name
    work = prefix / "var" / f"{package}_build"
    roots = [str(prefix), *filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep))]
    env = os.environ | {
        "PATH": os.pathsep.join([str(prefix / "bin"), os.environ.get("PATH", "")]),
        "AMENT_PREFIX_PATH": os.pathsep.join(dict.fromkeys(roots)),
        "CMAKE_PREFIX_PATH": os.pathsep.join(dict.fromkeys(roots)),
    }
    require_tools(env["PATH"])
    patch_wheel_exports(prefix / "share")
    options = {
        "CMAKE_INSTALL_PREFIX": prefix,
        "CMAKE_INSTALL_RPATH": prefix / "lib",
        "CMAKE_BUILD_TYPE": "Release",
        "CMAKE_CXX_FLAGS_RELEASE": "-O1",  # converters, not computation: -O2 only makes the wait longer
        "CMAKE_C_FLAGS_RELEASE": "-O1",
        "Python3_EXECUTABLE": sys.executable,
        "Python3_FIND_VIRTUALENV": "ONLY",
        "PYTHON_INSTALL_DIR": PYTHON_FOLDER,
        "BUILD_TESTING": "OFF",
    }
    configure = ["cmake", "-G", "Ninja", "-S", str(source), "-B", str(work)]
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    with (work / "build.log").open("w+") as log:
        for command in (
            [*configure, *(f"-D{name}={value}" for name, value in options.items())],
            ["cmake", "--build", str(work)],
        ):
            run(command, env, log)
        remove_old(prefix, package)
        run(["cmake", "--install", str(work)], env, log)
    shutil.rmtree(work)
    site = Path(sysconfig.get_path("purelib"))
    (site / f"{PACKAGE}.pth").write_text(f"{prefix / PYTHON_FOLDER}\n")


def sources(prefix: Path) -> list[Path]:
    """Packages that this environment needs: ours, and what its ROS 2 lacks."""
    roots = [prefix, *map(Path, filter(None, os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep)))]
    ours = stamp_file(prefix, MISSING_IN_WHEELS.name).is_file()
    there = any((root / "share" / MISSING_IN_WHEELS.name / "package.xml").is_file() for root in roots)
    return [SOURCE, MISSING_IN_WHEELS] if ours or not there else [SOURCE]


def run(command: list[str], env: dict[str, str], log) -> None:
    """Run one step of the build. Raises BuildError that quotes the end of the log."""
    if subprocess.run(command, env=env, stdout=log, stderr=subprocess.STDOUT, check=False).returncode:
        log.flush()
        tail = "\n".join(Path(log.name).read_text().splitlines()[-25:])
        raise BuildError(f"`{' '.join(command[:3])}` failed; the log ({log.name}) ends with\n{tail}")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path, help="an interface package besides ours")
    parser.add_argument("--check", action="store_true", help="only say whether the build is fresh")
    parser.add_argument("--force", action="store_true", help="build even if it is fresh")
    arguments = parser.parse_args()
    prefix = Path(sys.prefix)
    wanted = sources(prefix) if arguments.folder is None else [arguments.folder.resolve()]

    def stale() -> list[Path]:
        return [s for s in wanted if arguments.force or not is_fresh(prefix, fingerprint(s), s.name)]

    names = ", ".join(source.name for source in wanted)
    if not stale():
        print(f"{names}: built and fresh in {prefix}")
        return 0
    if arguments.check:
        print(f"{names}: missing or older than the interface files; run `make setup`")
        return 1
    if rclpy_version() == "none":
        raise BuildError("no rclpy in this environment; run `make setup`")
    with alone(prefix):
        for source in stale():
            build(prefix, source)
            stamp_file(prefix, source.name).write_text(fingerprint(source) + "\n")
    print(f"{names}: built into {prefix}")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BuildError as error:
        sys.exit(f"error: {error}")
