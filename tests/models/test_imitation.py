"""AIRL over tracks, where it is plain what the demonstrators want: bring the hand to the cup."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from vgps_models.errors import DataError
from vgps_models.irl.hand_policy import LARGEST, UNITS, HandPolicy, clone, units
from vgps_models.irl.imitation import ImitationConfig, imitate
from vgps_models.irl.keypoint_reward import KeypointReward
from vgps_models.irl.learned import stretched
from vgps_models.irl.rewards import load_reward
from vgps_models.irl.tracks import Track
from vgps_models.ranking import ranking
from vgps_models.turns import turned

SMALL = ImitationConfig(rounds=3, rehearsals=12, updates=300, cloning=250, horizon=30)


def walked(seed: int, step, length: int = 24) -> Track:
    """A hand that goes where `step` leads it, from anywhere; there are a cup and, elsewhere, a jug."""
    rng = np.random.default_rng(seed)
    points = rng.uniform([-0.2, -0.2, 0.0], [0.2, 0.2, 0.05], (2, 3))
    hand, heading = [rng.uniform([-0.3, -0.3, 0.1], [0.3, 0.3, 0.3])], 0.7
    for _ in range(length - 1):
        hand.append(hand[-1] + step(hand[-1], points, rng))
    there = np.linalg.norm(hand[-1] - points[0]) < 0.03
    flat, everywhere = np.full(length, 0.03), np.broadcast_to(points, (length, 2, 3))
    return Track("reach", ("cup", "jug"), np.array(hand), flat, 0 * flat, everywhere, heading, bool(there))


def to(which: int):
    return lambda hand, points, rng: 0.2 * (points[which] - hand) + rng.normal(0, 0.002, 3)


def rehearse(seed, policy) -> Track:
    def step(hand, points, rng):
        track = Track(
            "reach", ("cup", "jug"), np.stack([hand] * 2), np.full(2, 0.03), np.zeros(2), np.stack([points] * 2), 0.7,
            False,
        )  # fmt: skip
        return turned(0.7) @ policy(track.seen[0])[:3]

    return walked(10_000 + seed, step)


@pytest.fixture(scope="module")
def imitated():
    torch.set_num_threads(1)
    return imitate([walked(seed, to(0)) for seed in range(40)], rehearse, SMALL)


def test_the_reward_ranks_those_who_reach_above_those_who_do_not(imitated):
    """Those who go to the other thing and those who wander: neither was ever shown."""
    wander = [walked(600 + i, lambda hand, points, rng: rng.normal(0, 0.03, 3)) for i in range(30)]
    good, other = ([walked(500 + i, to(which)) for i in range(30)] for which in (0, 1))
    reward = imitated.reward
    for bad in (other, wander):
        scores = np.array([reward.score(track, 30) for track in (*good, *bad)])
        assert ranking(scores, np.arange(60) < 30) > 0.65  # chance is .5


def test_a_policy_of_its_own_tried_it_out(imitated):
    lines = imitated.rounds
    assert [line["round"] for line in lines] == [0, 1, 2] and all(0.4 < line["accuracy"] <= 1 for line in lines)
    assert lines[-1]["success"] > lines[0]["success"] + 0.2  # it comes to the cup; at first it knew nothing


def test_the_reward_is_kept_and_a_damaged_one_refused(imitated, tmp_path):
    path, track = tmp_path / "reward.safetensors", walked(1, to(0))
    imitated.reward.save(path, {"rounds": imitated.rounds})
    again = KeypointReward.load(path)
    np.testing.assert_array_equal(again.of(track), imitated.reward.of(track))
    assert again.task == "reach" and again.names == ("cup", "jug")
    card = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    card.pop("kind")  # as in files from when there was one kind only
    path.with_suffix(".json").write_text(json.dumps(card), encoding="utf-8")
    np.testing.assert_array_equal(load_reward(path).of(track), imitated.reward.of(track))
    whole = path.read_bytes()
    for spoilt in (whole[:-1], whole[:40], b"", whole[:-8] + bytes(8)):
        path.write_bytes(spoilt)
        with pytest.raises(DataError):
            KeypointReward.load(path)
    path.write_bytes(whole)
    path.with_suffix(".json").write_text("{}", encoding="utf-8")
    with pytest.raises(DataError):
        KeypointReward.load(path)
    with pytest.raises(DataError, match="vgps reward learn"):
        KeypointReward.load(tmp_path / "none.safetensors")


def test_a_track_with_other_landmarks_is_refused(imitated):
    with pytest.raises(DataError, match="reads cup, jug"):
        imitated.reward.of(replace(walked(1, to(0)), names=("jug", "cup")))
    with pytest.raises(DataError, match="same landmarks"):
        imitate([walked(1, to(0)), replace(walked(2, to(0)), names=("jug", "cup"))], rehearse, SMALL)


def test_an_episode_that_is_over_stays_where_it_ended():
    rows = np.arange(6.0).reshape(3, 2)
    np.testing.assert_array_equal(stretched(rows, 5), rows[[0, 1, 2, 2, 2]])
    np.testing.assert_array_equal(stretched(rows, 2), rows[:2])


def test_the_density_of_moves_is_one():
    """Over all that a hand can do, a mode in the middle: by Monte Carlo."""
    torch.manual_seed(0)
    policy, seen = HandPolicy(4, least=0.5, wander=0.2), torch.zeros(1, 4)
    most = torch.tensor(LARGEST)
    drawn = most * (2 * torch.rand(400_000, 5) - 1)
    with torch.no_grad():
        share = policy.log_prob(seen.expand(len(drawn), -1), drawn).double().exp() * (2 * most).prod()
    sure = float(share.std()) / len(drawn) ** 0.5  # standard error of the mean of so many draws
    # Less what the mode in the middle puts beyond what a hand can do: half of most is one of its deviations or more.
    assert 0.9 < float(share.mean()) < 1 + 5 * sure and sure < 0.02


def test_moves_are_drawn_as_often_as_their_density_says():
    torch.manual_seed(1)
    policy, seen = HandPolicy(3), torch.randn(300, 3)
    shown = torch.where(torch.rand(300, 1) < 0.3, torch.full((300, 5), 1.5), torch.full((300, 5), -1.0))
    clone(policy, seen, shown, torch.ones(300), steps=300)
    random = torch.Generator().manual_seed(0)
    drawn = np.stack([units(policy.act(seen[i % 300].numpy(), random)[None])[0] for i in range(600)])
    high, share = (drawn.mean(1) > 0.25).mean(), float((shown[:, 0] > 0).float().mean())
    assert 0.5 * share < high < 1.5 * share  # without what is seen it would be all of them or none, or a half
    assert (np.abs(drawn * UNITS) <= np.array(LARGEST) * UNITS + 1e-9).all()
