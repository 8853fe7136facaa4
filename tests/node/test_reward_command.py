"""`vgps reward`: from watching to a reward that is checked, small but whole."""

from __future__ import annotations

import json

import pytest

from vgps_node.cli import main
from vgps_node.rewarding import LearnReward

QUICK = {
    "airl": [
        "--imitation.rounds", "1", "--imitation.rehearsals", "4", "--imitation.updates", "60", "--imitation.cloning",
        "60",
    ],
    "perceptual": ["--method", "perceptual"],
}  # fmt: skip


@pytest.mark.parametrize("method", QUICK)
def test_a_reward_is_learned_and_checked(method, tmp_path, capsys):
    out, found = tmp_path / "reward.safetensors", tmp_path / "check.json"
    words = ["--task", "sort_onions", "--out", str(out), "--demonstrations", "6", *QUICK[method]]
    assert main(["reward", "learn", *words]) == 0
    card = json.loads(out.with_suffix(".json").read_text())
    assert card["kind"] == method and card["task"] == "sort_onions" and card["settings"]["demonstrations"] == 6
    assert len(card["rounds"]) == 1 if method == "airl" else len(card["perceptual"]["reads"]) == 3
    assert main(["reward", "check", str(out), "--episodes", "5", "--seed", "40", "--json", str(found)]) == 0
    told = json.loads(found.read_text())
    for who in ("person", "robot"):
        low, high = told[who]["episode"]["ci95"]
        assert told[who]["episodes"] == 5 and 0 <= low <= told[who]["episode"]["auc"] <= high <= 1
    capsys.readouterr()


def test_each_method_has_as_many_demonstrations_as_it_needs(tmp_path):
    airl, perceptual = (LearnReward("sort_onions", tmp_path / "x", method=method) for method in QUICK)
    assert (airl.count, perceptual.count) == (200, 20)
    assert LearnReward("sort_onions", tmp_path / "x", method="perceptual", demonstrations=7).count == 7


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["learn", "--task", "make_coffee", "--out", "x.safetensors"], 2, "sort_onions"),
        (["learn", "--task", "sort_onions", "--method", "gail", "--out", "x.safetensors"], 2, "airl, perceptual"),
        (["check", "nowhere.safetensors"], 1, "vgps reward learn"),
        (["weigh"], 2, "learn"),
    ],
)
def test_what_cannot_be_is_said(arguments, code, said, capsys):
    assert main(["reward", *arguments]) == code
    assert said in capsys.readouterr().err
