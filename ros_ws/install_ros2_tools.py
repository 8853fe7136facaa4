"""Install the `ros2` command line and `ros2 launch` beside the pip wheels of ROS 2, which lack them.

    make ros2-tools                 into .venv, from the sources of ROS 2 Jazzy on GitHub
    source .venv/setup.bash
    ros2 launch vgps sim.launch.py

A sourced ROS 2 has these tools already. Needs git and a network. Standard library only.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parent / "build" / "ros2-tools"
GITHUB = "https://github.com/ros2"
# Repository -> the tag that was tried together with the wheels of constraints.txt, and its Python packages.
SOURCES = {
    "rosidl_runtime_py": ("0.13.1", ["."]),
    "launch": ("3.4.3", ["launch", "launch_xml", "launch_yaml"]),
    "launch_ros": ("0.26.6", ["launch_ros"]),
    "ros2cli": (
        "0.32.2",
        [
            "ros2cli", "ros2pkg", "ros2run", "ros2node", "ros2topic", "ros2service", "ros2action", "ros2param",
            "ros2interface", "ros2lifecycle", "ros2doctor",
        ],
    ),
    "rcl_interfaces": ("2.0.2", []),
}  # fmt: skip
LAST = FOLDER / "launch_ros" / "ros2launch"  # needs ros2pkg
INTERFACES = FOLDER / "rcl_interfaces" / "composition_interfaces"  # launch_ros imports them
LIBRARIES = ("argcomplete", "catkin-pkg", "importlib-metadata", "lark", "osrf-pycommon", "packaging", "psutil")


def run(*command: str | Path) -> None:
    """Run a command; its output is shown when it fails."""
    done = subprocess.run(
        [str(word) for word in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8", check=False
    )
    if done.returncode:
        sys.exit(
            f"{done.stdout}\nerror: `{' '.join(map(str, command[:4]))} ...` failed. What is done is kept: run the same"
            " command again.\nWithout GitHub: `vgps up sim` starts the nodes of ros2 launch. Or let git use a mirror: "
            f"git config --global url.<mirror>.insteadOf {GITHUB}"
        )


def pip(*arguments: str | Path) -> None:
    run(sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "install", *arguments)


def fetch(repository: str, tag: str) -> None:
    """A repository at a tag, once."""
    target = FOLDER / repository
    if (target / ".git").is_dir():
        return
    print(f"  {repository} {tag} ...", flush=True)
    partial = FOLDER / f"{repository}.part"
    run("rm", "-rf", partial)
    run("git", "-c", "advice.detachedHead=false", "clone", "--depth", "1", "-b", tag, f"{GITHUB}/{repository}", partial)
    partial.rename(target)


def main() -> int:
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    if sys.prefix == sys.base_prefix:
        sys.exit("error: run this with the Python of the environment: make ros2-tools")
    FOLDER.mkdir(parents=True, exist_ok=True)
    for repository, (tag, _) in SOURCES.items():
        fetch(repository, tag)
    print("  Python packages ...", flush=True)
    pip("-c", HERE.parent / "constraints.txt", "setuptools", "wheel", *LIBRARIES)
    packages = [FOLDER / repository / name for repository, (_, names) in SOURCES.items() for name in names]
    pip("--no-build-isolation", "--no-deps", *packages, LAST)
    print("  composition_interfaces ...", flush=True)
    run(sys.executable, HERE / "build_msgs.py", INTERFACES)
    print("ros2 is installed; in every new shell: source .venv/setup.bash")
    return 0


if __name__ == "__main__":
    sys.exit(main())
