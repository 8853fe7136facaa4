"""The command line: what does not exist is named with what does, and nobody sees a traceback."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import import_module
from pathlib import Path

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


def parts(name: str, shown: str) -> list[list[str]]:
    """The command, or each of its parts when its help lists some."""
    listed = re.match(rf"usage: vgps {name} \{{(.*)\}}", shown)
    return [[name, part] for part in listed[1].split(",")] if listed else [[name]]


@pytest.mark.parametrize("name", COMMANDS)
def test_headings_of_help_say_something(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    """tyro calls a group of options after the field that holds them."""
    with pytest.raises(SystemExit):
        main([name, "--help"])
    for command in parts(name, capsys.readouterr().out):
        with pytest.raises(SystemExit):
            main([*command, "--help"])
        headings = re.findall(r"^[\s│╭─]*([\w.-]+ )options\b", capsys.readouterr().out, re.MULTILINE)
        assert "options " not in headings and not [h for h in headings if h.startswith("options.")], command


def test_help_of_eval_needs_no_simulator() -> None:
    code = (
        "import sys; from vgps_node.cli import main\n"
        "for command in ('eval', 'power'):\n"
        "    try: main([command, '--help'])\n"
        "    except SystemExit: pass\n"
        "assert not {'torch', 'mujoco', 'rclpy', 'av', 'jinja2'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--require", "guided-bar>=0"], "bare, guided"),
        (["--require", "guided"], "quotes"),
        (["--require", "candidate>=0.5"], "bare, guided"),
        (["--baseline", "policy", "--require", "guided>=0.5"], "baseline, candidate"),
        (["--fail-under", "80"], "between 0 and 1"),
        (["--baseline-critic", "critic"], "--baseline POLICY"),
        (["--baseline", "policy", "--baseline-k", "5"], "--baseline-critic"),
        (["--baseline", "policy", "--sides", "bare", "guided"], "leave out --sides"),
        (["--sides", "baseline", "bare"], "--baseline POLICY"),
        (["--policy", "no_such_module:make"], "cannot be imported"),
        (["--policy", "json:nothing"], "dumps"),
        (["--json", "/proc/nowhere/x.json"], "/proc/nowhere/x.json"),
        (["--junit", "/proc/x.xml"], "/proc/x.xml"),
        (["--junit", "/tmp"], "it is a folder"),
    ],
)
def test_a_wrong_evaluation_is_refused_before_anything_is_played(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["eval", *arguments]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ") and says in error and "Traceback" not in error


def test_power_is_a_table_and_refuses_what_cannot_be(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["power", "--drops", "0.3", "0.4"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4 and lines[2].startswith("| 30 |") and all(line.count("|") == 6 for line in lines)
    for arguments in (
        ["--rate", "0.2"],
        ["--drops"],
        ["--error-rate", "0"],
        ["--correlation", "0.99"],
        ["--tasks", "0"],
    ):
        assert main(["power", *arguments]) == 2
        assert capsys.readouterr().err.startswith("error: ")


@pytest.mark.parametrize(("library", "extra"), [("torch", "models"), ("mujoco", "sim"), ("tokenizers", "models")])
def test_a_library_that_is_not_installed_is_named_with_its_extra(
    library: str, extra: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def needs(arguments: list[str], *, prog: str) -> int:
        monkeypatch.setitem(sys.modules, library, None)
        import_module(library)
        return 0

    monkeypatch.setattr(import_module("vgps_node.commands.power"), "main", needs)
    monkeypatch.setattr("vgps_node.extras.from_source", lambda: False)
    assert main(["power"]) == 1
    said = capsys.readouterr().err
    assert f"pip install 'vgps[{extra}]'" in said and library in said and "Traceback" not in said


def test_a_module_of_no_extra_is_a_fault_of_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        import_module("vgps_node.commands.power"), "main", lambda arguments, prog: import_module("no_such_module")
    )
    with pytest.raises(ModuleNotFoundError):
        main(["power"])


WITHOUT_TORCH = """
import sys

class Without:
    def __init__(self, finder):
        self.finder = finder

    def __getattr__(self, name):
        return getattr(self.finder, name)

    def find_spec(self, name, *arguments):
        missing = name.partition(".")[0] in ("torch", "safetensors", "tokenizers", "pyarrow", "rclpy")
        return None if missing else self.finder.find_spec(name, *arguments)

sys.meta_path[:] = map(Without, sys.meta_path)
from vgps_node.cli import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_checkpoint_without_torch_is_one_sentence() -> None:
    command = [sys.executable, "-c", WITHOUT_TORCH, "eval", "--episodes", "1"]
    done = subprocess.run(command, capture_output=True, encoding="utf-8")
    assert done.returncode == 1 and done.stderr.startswith("error: vgps eval needs the library torch"), done.stderr


def test_a_function_is_evaluated_with_the_extra_sim_alone(tmp_path: Path) -> None:
    (tmp_path / "still.py").write_text(
        "import numpy\n\ndef act(observation): return numpy.zeros((4, 7))\n", encoding="utf-8"
    )
    words = ["eval", "--policy", "still:act@1", "--baseline", "still:act@1", "--episodes", "2", "--max-steps", "4"]
    words += ["--processes", "1", "--require", "candidate<=1", "--out", "out", "--junit", "j.xml", "--json", "n.json"]
    command = [sys.executable, "-c", WITHOUT_TORCH, *words]
    done = subprocess.run(command, capture_output=True, encoding="utf-8", cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert {path.name for path in tmp_path.glob("*.*")} == {"still.py", "j.xml", "n.json"}
    assert (tmp_path / "out" / "report.html").exists()
