"""The command line: what does not exist is named with what does, and nobody sees a traceback."""

from __future__ import annotations

import subprocess
import sys
from importlib import import_module

import pytest

from vgps_node.cli import COMMANDS, main


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_has_help_with_an_example(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as left:
        main([name, "--help"])
    assert left.value.code == 0
    out = capsys.readouterr().out
    assert "usage: vgps " + name in out
    module, function = COMMANDS[name].target.split(":")
    about = getattr(import_module(f"vgps_node.commands.{module}"), function).__doc__
    assert about and f"vgps {name}" in about


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        (["evla"], "eval"),
        (["train", "polcy"], "policy"),
        (["data", "delete", "x"], "repair"),
        (["bench", "speed"], "score"),
        (["up", "mars"], "sim"),
        (["eval", "--tasks", "fly"], "put_spoon_on_towel"),
        (["eval", "--sides", "good"], "guided"),
        (["eval", "--clock", "sundial", "--ros"], "lockstep"),
        (["eval", "--select", "best"], "argmax"),
        (["eval", "--policy", "no_such_policy"], "checkpoint"),
        (["up", "sim", "--rule", "best"], "argmax"),
        (["demo", "--tasks", "fly"], "put_spoon_on_towel"),
        (["collect", "--quality", "perfect"], "mixed"),
    ],
)
def test_unknown_names_give_the_valid_ones(
    arguments: list[str], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: unknown") and named in error and "Traceback" not in error


def test_other_errors_are_sentences_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["data", "info", "/nowhere"]) == 1
    assert main(["eval", "--clock", "realtime"]) == 1
    assert "add --ros" in capsys.readouterr().err


def test_the_command_starts_without_loading_what_it_does_not_need() -> None:
    code = (
        "import sys; from vgps_node.cli import main; main(['--help'])\n"
        "assert not {'torch', 'mujoco', 'rclpy', 'tyro', 'rich'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert all(name in done.stdout for name in COMMANDS)


def test_help_needs_neither_torch_nor_ros() -> None:
    code = (
        "import sys; from vgps_node.cli import main\n"
        "try: main(['demo', '--help'])\n"
        "except SystemExit: pass\n"
        "assert not {'torch', 'mujoco', 'rclpy'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
