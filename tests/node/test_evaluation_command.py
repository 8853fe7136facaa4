"""`vgps eval` as CI runs it: exit codes, files that are written whatever happens, a baseline that is played once."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from vgps_node.cli import main
from vgps_node.eval_config import EvalConfig

SHORT = [
    "eval",
    "--max-steps",
    "2",
    "--execute",
    "2",
    "--processes",
    "1",
    "--seed",
    "7",
    "--tasks",
    "put_spoon_on_towel",
    "put_carrot_on_plate",
]


def ran(capsys: pytest.CaptureFixture[str], folder: Path, *arguments: str) -> tuple[int, str, dict]:
    """Exit code, what was printed, and the numbers."""
    code = main([*SHORT, "--json", str(folder / "r.json"), "--junit", str(folder / "j.xml"), *arguments])
    ElementTree.parse(folder / "j.xml")
    return code, capsys.readouterr().out, json.loads((folder / "r.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((), 0),
        (("--require", "bare>=0"), 0),
        (("--require", "bare>=0", "--fail-under", "0.9"), 3),
        (("--fail-under", "50%"), 3),
        (("--until", "decided", "--require", "bare>=0.5"), 4),
        (("--until", "decided", "--require", "bare.upper>=0.5"), 0),
    ],
)
def test_exit_codes(arguments: tuple[str, ...], code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Two control steps solve nothing, so that every rate is 0."""
    found, out, data = ran(capsys, tmp_path, "--sides", "bare", "--episodes", "2", *arguments)
    assert found == code
    assert [r["state"] for r in data["requirements"]] == [
        line.split(":")[0] for line in out.splitlines() if line.split(":")[0] in ("met", "failed", "undecided")
    ]


def test_the_candidate_of_one_run_is_the_baseline_of_the_next(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    runs = ["--out", str(tmp_path / "runs"), "--episodes", "2"]
    first = ran(capsys, tmp_path, *runs, "--policy", "policy", "--baseline", "policy_success_only")[2]
    assert list(first["conditions"]) == ["baseline", "candidate"] and list(first["pairs"]) == ["candidate-baseline"]
    copy = tmp_path / "elsewhere.safetensors"
    from vgps_models.checkpoint import find

    for suffix in (".safetensors", ".json"):
        copy.with_suffix(suffix).write_bytes(find("policy").with_suffix(suffix).read_bytes())
    journal = tmp_path / "runs" / "episodes.jsonl"
    before = len(journal.read_text(encoding="utf-8").splitlines())
    ran(capsys, tmp_path, *runs, "--policy", "policy_success_only", "--baseline", str(copy))
    assert before == len(journal.read_text(encoding="utf-8").splitlines()) == 4
    same = ran(capsys, tmp_path, *runs, "--policy", "policy", "--baseline", str(copy))[2]
    assert len(journal.read_text(encoding="utf-8").splitlines()) == 4 and "same episodes" in same["notes"][0]


def test_sides_of_a_comparison() -> None:
    def sides(**options) -> dict:
        return {
            c.name: c.settings
            for c in EvalConfig(policy="policy", baseline="policy_success_only", **options).conditions()
        }

    bare = sides()
    assert [(s["policy"], s["critic"], s["k"], s["rule"]) for s in bare.values()] == [
        ("policy_success_only", None, 1, "first"),
        ("policy", None, 1, "first"),
    ]
    assert sides(critic="none") == bare
    guided = sides(critic="critic", k=20)
    assert guided["baseline"] == bare["baseline"]
    assert (guided["candidate"]["critic"], guided["candidate"]["k"]) == ("critic", 20)
    both = sides(critic="critic", k=20, baseline_critic="critic", baseline_k=5, baseline_select="argmax")
    assert both["candidate"] == guided["candidate"]
    assert (both["baseline"]["critic"], both["baseline"]["k"], both["baseline"]["rule"]) == ("critic", 5, "argmax")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_leaves_what_was_played(number: signal.Signals, code: int, tmp_path: Path) -> None:
    """To the whole group, workers too, as a terminal and some CI systems send it."""
    files = [tmp_path / "r.json", tmp_path / "j.xml", tmp_path / "runs" / "report.html"]
    command = [sys.executable, "-m", "vgps_node.cli", "eval", "--seed", "7", "--max-steps", "2", "--episodes", "100"]
    command += [
        "--sides",
        "bare",
        "--fail-under",
        "0.5",
        "--json",
        files[0],
        "--junit",
        files[1],
        "--out",
        files[2].parent,
    ]
    with subprocess.Popen(
        list(map(str, command)),
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        start_new_session=True,
    ) as process:
        assert process.stderr is not None
        while "/100" not in (line := process.stderr.readline()):  # a tenth is played
            assert line, "it ended before it was stopped"
        os.killpg(process.pid, number)
        out, err = process.communicate(timeout=60)
    assert process.returncode == code, err
    assert number.name in err and "Traceback" not in err
    data = json.loads(files[0].read_text(encoding="utf-8"))
    played = data["conditions"]["bare"]["episodes"]
    assert number.name in data["stopped"] and 10 <= played < 100 and data["requirements"][0]["state"] == "undecided"
    assert played == len((files[2].parent / "episodes.jsonl").read_text(encoding="utf-8").splitlines())
    assert ElementTree.parse(files[1]).find(".//error") is not None and number.name in files[2].read_text(
        encoding="utf-8"
    )
    assert "undecided: bare>=0.5" in out


def test_a_policy_without_a_critic_is_evaluated_bare() -> None:
    assert EvalConfig(critic="none").side_names == ("bare",)
    assert EvalConfig().side_names == ("bare", "guided")


@pytest.mark.parametrize(
    "arguments",
    [["--episodes", "0"], ["--until", "decided"], ["--junit", "{out}"], ["--json", "{out}/report.html"]],
    ids=" ".join,
)
def test_a_command_that_cannot_work_is_wrong_and_nothing_is_played(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    words = [word.format(out=out) for word in arguments]
    assert main(["eval", "--sides", "bare", "--tasks", "put_spoon_on_towel", "--out", str(out), *words]) == 2
    assert capsys.readouterr().err.startswith("error: ") and not (out / "episodes.jsonl").exists()


def test_results_that_find_no_room_are_one_sentence(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*SHORT, "--sides", "bare", "--episodes", "2", "--json", "/dev/full"]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("error: the results cannot be written") and "No space left" in said
    assert Path("/dev/full").is_char_device()
