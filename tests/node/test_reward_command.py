"""`vgps reward`: from watching to a reward that is checked, small but whole."""

from __future__ import annotations

import json

import av
import numpy as np
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
    card = json.loads(out.with_suffix(".json").read_text(encoding="utf-8"))
    assert card["kind"] == method and card["task"] == "sort_onions" and card["settings"]["demonstrations"] == 6
    assert len(card["rounds"]) == 1 if method == "airl" else len(card["perceptual"]["reads"]) == 3
    assert main(["reward", "check", str(out), "--episodes", "5", "--seed", "40", "--json", str(found)]) == 0
    told = json.loads(found.read_text(encoding="utf-8"))
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


def test_what_a_reward_sees_is_drawn_into_a_video(tmp_path, capsys):
    pytest.importorskip("mediapipe")
    film, reward, video, told = (tmp_path / n for n in ("film", "reward.safetensors", "reward.mp4", "view.json"))
    learn = ["--task", "put_carrot_on_plate", "--method", "perceptual", "--demonstrations", "8"]
    learn += ["--reads", "things", "--noise", "0.012"]
    assert main(["reward", "learn", "--out", str(reward), *learn]) == 0
    assert main(["film", "put_carrot_on_plate", "--out", str(film), "--seed", "93003", "--fps", "5"]) == 0
    assert main(["reward", "view", str(film), "--reward", str(reward), "--out", str(video), "--json", str(told)]) == 0
    found = json.loads(told.read_text(encoding="utf-8"))
    assert min(found["things_seen"][name] for name in ("carrot", "plate")) > 0.3 and found["hand_seen"] > 0.8
    rewards = found["reward"]
    assert len(rewards) == 30 and -1 <= min(rewards) <= max(rewards) <= 0
    assert np.mean(rewards[-5:]) > np.mean(rewards[:5]) + 0.3  # the carrot is on the plate at the end
    with av.open(str(video)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 30
    other = tmp_path / "other"
    assert main(["film", "sort_onions", "--out", str(other), "--seed", "93003", "--fps", "5"]) == 0
    capsys.readouterr()
    assert main(["reward", "view", str(other), "--reward", str(reward), "--out", str(video)]) == 1
    assert "is never seen; the reward of put_carrot_on_plate needs it" in capsys.readouterr().err
