"""A checkpoint that cannot be used ends a command before anything starts: one sentence, exit code 1 and no files."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from vgps_models import checkpoint
from vgps_node.cli import main

FAULTS = ("pointer", "cut", "empty", "pickle", "kind", "card", "newer", "folder", "missing")


def spoilt(folder: Path, fault: str, kind: str = "policy") -> Path:
    """A shipped checkpoint of this kind, with a fault."""
    path = folder / "bad.safetensors"
    other = "critic" if kind == "policy" else "policy"
    name = checkpoint.shipped(other if fault == "kind" else kind)[0]
    for suffix in (".safetensors", ".json"):
        shutil.copyfile(checkpoint.find(name).with_suffix(suffix), path.with_suffix(suffix))
    if fault == "pointer":
        path.write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4\n")
    elif fault in ("cut", "empty"):
        path.write_bytes(path.read_bytes()[: 100_000 if fault == "cut" else 0])
    elif fault == "card":
        path.with_suffix(".json").unlink()
    elif fault == "newer":
        card = path.with_suffix(".json")
        card.write_text(card.read_text().replace(checkpoint.FORMAT, "vgps-checkpoint-9"))
    elif fault == "pickle":
        path.with_suffix(".pt").write_bytes(b"PK\x03\x04" + bytes(60))
        return path.with_suffix(".pt")
    elif fault == "folder":
        return folder
    elif fault == "missing":
        return folder / "nowhere.safetensors"
    return path


SAID = {
    "pointer": "git lfs pull", "cut": "bytes; copy it again", "empty": "is empty", "pickle": "torch.save",
    "kind": "kind: is '", "card": "card: is missing", "newer": "update vgps", "folder": "is a folder",
    "missing": "does not exist",
}  # fmt: skip
# The command, and what its checkpoint is a checkpoint of.
COMMANDS = {
    "eval": ("eval --policy {} --episodes 1 --sides bare --out {out}", "policy"),
    "eval critic": ("eval --critic {} --episodes 1 --sides bare guided --out {out}", "critic"),
    "eval filtered": ("eval --filtered {} --episodes 1 --sides filtered --out {out}", "policy"),
    "eval judge": ("eval --judge {} --episodes 1 --sides bare --out {out}", "progress"),
    "eval ros": ("eval --ros --critic {} --episodes 1 --sides bare --out {out}", "critic"),
    "demo": ("demo --policy {} --episodes 4 --out {out}", "policy"),
    "up": ("up sim --policy {} --log {out}", "policy"),
    "up critic": ("up sim --critic {} --log {out}", "critic"),
    "up progress": ("up sim --progress.checkpoint {} --log {out}", "progress"),
    "train critic": ("train critic --policy {} --data {data} --out {out}/c.safetensors", "policy"),
    "train critic start": ("train critic --policy policy --start {} --data {data} --out {out}/c.safetensors", "critic"),
    "train pixels": ("train pixels --policy {} --data {data} --out {out}/c.safetensors", "policy"),
    "train policy": ("train policy --encoder {} --data {data} --out {out}/p.safetensors", "encoder"),
    "train policy start": ("train policy --start {} --data {data} --out {out}/p.safetensors", "policy"),
    "train progress": ("train progress --encoder {} --data {data} --out {out}/p.safetensors", "encoder"),
    "train trust": ("train trust --critic {} --data {data} --out {out}/t.json", "critic"),
    "bench score": ("bench score --critic {} --json {out}/b.json", "critic"),
    "bench listen": ("bench listen --critic {} --data {data} --json {out}/b.json", "critic"),
}


def refused(command: str, path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> str:
    """What is said, after checking that it is one sentence and that nothing was written."""
    out = tmp_path / "out"
    words = command.format(path, out=out, data=tmp_path / "no-data").split()
    assert main(words) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ") and said.count("\n") == 1 and "Traceback" not in said, said
    assert not out.exists()
    return said


@pytest.mark.parametrize("fault", FAULTS)
def test_every_fault_is_named_before_an_evaluation_starts(fault, tmp_path, capsys):
    (tmp_path / "in").mkdir()
    path = spoilt(tmp_path / "in", fault)
    assert SAID[fault] in refused(COMMANDS["eval"][0], path, tmp_path, capsys)


@pytest.mark.parametrize(("command", "kind"), COMMANDS.values(), ids=COMMANDS)
def test_every_command_refuses_before_it_starts(command, kind, tmp_path, capsys, monkeypatch):
    import vgps_node.supervisor as supervisor

    monkeypatch.setattr(supervisor.subprocess, "Popen", None)  # no node may start
    (tmp_path / "in").mkdir()
    path = spoilt(tmp_path / "in", "pointer", kind)
    assert SAID["pointer"] in refused(command, path, tmp_path, capsys)


@pytest.mark.parametrize("command", ["eval --policy {} --sides bare", "up sim --critic {}"])
def test_a_misspelt_name_gets_the_near_one(command, capsys):
    name = "polcy" if "policy" in command else "critik"
    assert main(command.format(name).split()) == 2
    said = capsys.readouterr().err
    assert f"Did you mean '{'policy' if name == 'polcy' else 'critic'}'?" in said and "policy_success_only" in said


def test_a_reward_that_is_a_pointer(tmp_path, capsys):
    reward = tmp_path / "reward.safetensors"
    for suffix in (".safetensors", ".json"):
        reward.with_suffix(suffix).write_text("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4\n")
    assert main(["up", "sim", "--reward", str(reward), "--log", str(tmp_path / "log")]) == 1
    assert "reward.json is a Git LFS pointer" in capsys.readouterr().err and not (tmp_path / "log").exists()
    reward.with_suffix(".json").unlink()
    assert main(["up", "sim", "--reward", str(reward), "--log", str(tmp_path / "log")]) == 1
    assert "with its card reward.json beside it" in capsys.readouterr().err
