"""Reads and runs a launch file where `launch` and `launch_ros` are not installed: the part of their API that ours use.

    python launch_reader.py FILE [name:=value ...]

It starts the nodes of the file as ros2 launch does: executables of the ament package, parameters from a file, the given
variables added, SIGINT passed on, everything stopped when a node with a Shutdown ends.
"""

from __future__ import annotations

import contextlib
import os
import runpy
import signal
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml
from ament_index_python.packages import get_package_prefix


@dataclass
class DeclareLaunchArgument:
    name: str
    default_value: str | None = None
    description: str = ""
    choices: list[str] | None = None


@dataclass
class OpaqueFunction:
    function: Any
    args: list[Any] = field(default_factory=list)


@dataclass
class Shutdown:
    reason: str = ""


@dataclass
class LaunchConfiguration:
    name: str

    def perform(self, context: dict[str, str]) -> str:
        return context[self.name]


@dataclass
class LaunchDescription:
    entities: list[Any]


@dataclass
class Node:
    package: str
    executable: str
    name: str
    parameters: list[dict[str, Any]]
    additional_env: dict[str, str]
    on_exit: list[Any]
    output: str
    sigterm_timeout: str
    sigkill_timeout: str


@contextlib.contextmanager
def _modules() -> Iterator[None]:
    """The names that a launch file imports."""
    places = {
        "launch": [LaunchDescription],
        "launch.actions": [DeclareLaunchArgument, OpaqueFunction, Shutdown],
        "launch.substitutions": [LaunchConfiguration],
        "launch_ros": [],
        "launch_ros.actions": [Node],
    }
    before = {name: sys.modules.get(name) for name in places}
    for name, things in places.items():
        sys.modules[name] = types.ModuleType(name)
        for thing in things:
            setattr(sys.modules[name], thing.__name__, thing)
    try:
        yield
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def read(path: Path, given: dict[str, str] | None = None) -> tuple[list[DeclareLaunchArgument], list[Node]]:
    """Arguments and nodes of a launch file."""
    given = given or {}
    with _modules():
        description = runpy.run_path(str(path))["generate_launch_description"]()
        arguments = [e for e in description.entities if isinstance(e, DeclareLaunchArgument)]
        context = {argument.name: given.get(argument.name, argument.default_value) for argument in arguments}
        if unknown := given.keys() - context.keys():
            raise SystemExit(f"unknown launch arguments: {sorted(unknown)}")
        for argument in arguments:
            if argument.choices and context[argument.name] not in argument.choices:
                raise SystemExit(f"{argument.name} must be one of {argument.choices}")
        functions = [e for e in description.entities if isinstance(e, OpaqueFunction)]
        return arguments, [node for f in functions for node in f.function(context, *f.args)]


def run(nodes: list[Node]) -> int:
    """Start the nodes, wait until one that is needed ends or a signal comes, stop them all."""
    started: list[tuple[Node, subprocess.Popen[bytes]]] = []
    stopping = False

    def stop(*_: object) -> None:
        nonlocal stopping
        stopping = True

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)
    with tempfile.TemporaryDirectory() as folder:
        for node in nodes:
            file = Path(folder) / f"{node.name}.yaml"
            file.write_text(
                yaml.safe_dump({f"/{node.name}": {"ros__parameters": node.parameters[0]}}), encoding="utf-8"
            )
            program = Path(get_package_prefix(node.package)) / "lib" / node.package / node.executable
            command = [program, "--ros-args", "-r", f"__node:={node.name}", "--params-file", file]
            started.append((node, subprocess.Popen(command, env={**os.environ, **node.additional_env})))
        print("started", *(f"{node.executable}={process.pid}" for node, process in started), flush=True)
        while not stopping:
            stopping |= any(process.poll() is not None and node.on_exit for node, process in started)
            time.sleep(0.05)
        for number, seconds in ((signal.SIGINT, 2.5), (signal.SIGTERM, 1.0), (signal.SIGKILL, 1.0)):
            deadline = time.monotonic() + seconds
            for _, process in started:
                if process.poll() is None:
                    process.send_signal(number)
            while any(process.poll() is None for _, process in started) and time.monotonic() < deadline:
                time.sleep(0.02)
    return 0


if __name__ == "__main__":
    words = dict(word.split(":=", 1) for word in sys.argv[2:])
    sys.exit(run(read(Path(sys.argv[1]), words)[1]))
