"""`vgps reward`: from watching to a reward that is checked, small but whole."""

from __future__ import annotations

import json

import pytest

from vgps_node.cli import main

QUICK = [
    "--demonstrations", "6", "--imitation.rounds", "1", "--imitation.rehearsals", "4", "--imitation.updates", "60",
    "--imitation.cloning", "60",
]  # fmt: skip


def test_a_reward_is_learned_and_checked(tmp_path, capsys):
    out, found = tmp_path / "reward.safetensors", tmp_path / "check.json"
    assert main(["reward", "learn", "--task", "sort_onions", "--out", str(out), *QUICK]) == 0
    card = json.loads(out.with_suffix(".json").read_text())
    assert card["task"] == "sort_onions" and len(card["rounds"]) == 1 and card["settings"]["demonstrations"] == 6
    assert main(["reward", "check", str(out), "--episodes", "5", "--seed", "40", "--json", str(found)]) == 0
    told = json.loads(found.read_text())
    for who in ("person", "robot"):
        low, high = told[who]["episode"]["ci95"]
        assert told[who]["episodes"] == 5 and 0 <= low <= told[who]["episode"]["auc"] <= high <= 1
    capsys.readouterr()


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["learn", "--task", "make_coffee", "--out", "x.safetensors"], 2, "sort_onions"),
        (["check", "nowhere.safetensors"], 1, "vgps reward learn"),
        (["weigh"], 2, "learn"),
    ],
)
def test_what_cannot_be_is_said(arguments, code, said, capsys):
    assert main(["reward", *arguments]) == code
    assert said in capsys.readouterr().err
