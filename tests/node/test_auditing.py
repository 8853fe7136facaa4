"""`vgps reward relabel` and `compare` on a few recorded episodes."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from vgps_models.data import EpisodeStore, EpisodeWriter
from vgps_models.data.relabelling import relabelled, write_rewards
from vgps_models.errors import DataError, SpecError, UnknownNameError
from vgps_models.irl.airl import AIRL
from vgps_models.irl.keypoint_reward import KeypointReward
from vgps_models.irl.learned import Scale
from vgps_models.irl.perceptual import PerceptualConfig, perceive
from vgps_models.irl.rewards import KINDS, load_reward
from vgps_node.auditing import CompareRewards, compare_rewards
from vgps_node.cli import main
from vgps_node.rewarding import Relabel, relabel
from vgps_sim.arms import get_arm
from vgps_sim.collect import demonstrate
from vgps_sim.human.tracks import recorded
from vgps_sim.world import World

TASK = "put_spoon_on_towel"


@pytest.fixture(scope="module")
def data(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("audit") / "spoons"
    writer, world = EpisodeWriter(root), World(TASK, image_size=16, cameras=("front",))
    for seed in range(8):
        writer.write(demonstrate(world, 40 + seed, "mixed"))
    world.close()
    writer.finalise()
    return root


@pytest.fixture(scope="module", params=KINDS)
def reward(request, data) -> Path:
    """Of either kind: an untrained one, and one of these few episodes, with the span that a good one would have."""
    store = EpisodeStore(data)
    tracks = list(recorded(store.columns(), get_arm("widowx_ai")))
    scale = Scale.of(tracks)
    made = {
        "airl": lambda: KeypointReward(TASK, tracks[0].names, scale, AIRL(len(scale.mean))),
        "perceptual": lambda: perceive(tracks, PerceptualConfig(steps=3, shortest=2)),
    }[request.param]()
    made.span = (-1.0, 0.5)
    made.save(data.parent / f"{request.param}.safetensors", {})
    return data.parent / f"{request.param}.safetensors"


def test_tracks_are_what_was_recorded(data):
    columns = EpisodeStore(data).columns()
    for episode, track in enumerate(recorded(columns, get_arm("widowx_ai"))):
        rows = slice(*columns.bounds[episode : episode + 2])
        np.testing.assert_allclose(track.hand, columns.state[rows, :3])
        np.testing.assert_allclose(track.points[:, 0], columns.environment_state[rows, :3])
        assert track.success == columns.success[rows][-1] and track.task == TASK


def test_the_same_wish_is_at_no_distance_whatever_its_scale(data, tmp_path):
    store = EpisodeStore(data)
    columns = store.columns()
    half = np.where(columns.success, -0.25, -0.75).astype(np.float32)  # half of it, and a quarter less
    file = write_rewards(tmp_path / "half.parquet", store, half, {})
    found = compare_rewards(CompareRewards(data, ("success", str(file), "random")))
    assert found["tasks"][TASK]["episodes"] == 8
    assert found["median"][f"success ~ {file}"] < 1e-3 < 0.2 < found["median"]["success ~ random"]


def test_what_a_learned_reward_says_of_frames_is_written_and_compared(data, reward, tmp_path, capsys):
    out, numbers = tmp_path / "irl.parquet", tmp_path / "numbers.json"
    told = relabel(Relabel(data, (reward,), out))
    store = EpisodeStore(data)
    columns = store.columns()
    rewards = relabelled(out, store.data_hash(), len(columns))
    learned = load_reward(reward)
    by_hand = np.concatenate([learned.within(track) for track in recorded(columns, get_arm("widowx_ai"))])
    np.testing.assert_allclose(rewards, by_hand, atol=1e-6)
    assert told["frames"] == len(columns) and told[TASK]["episodes"] == 8
    words = ["reward", "compare", str(data), "--rewards", "success", str(out), str(reward), "--json", str(numbers)]
    assert main(words) == 0
    assert set(json.loads(numbers.read_text(encoding="utf-8"))["median"]) == {
        f"success ~ {out}",
        "success ~ irl",
        f"{out} ~ irl",
    }
    capsys.readouterr()


@pytest.mark.parametrize(
    ("rewards", "error", "said"),
    [
        (("success",), SpecError, "two"),
        (("success", "happiness"), UnknownNameError, "random"),
        (("success", "none.parquet"), DataError, "vgps reward relabel"),
        (("success", "none.safetensors"), DataError, "vgps reward learn"),
    ],
)
def test_what_cannot_be_compared_is_said(data, rewards, error, said):
    with pytest.raises(error, match=said):
        compare_rewards(CompareRewards(data, rewards))


def test_a_task_without_a_reward_is_named(data, tmp_path):
    other = KeypointReward("sort_onions", ("a",), Scale(np.zeros(3), np.ones(3), np.arange(3)), AIRL(3))
    other.save(tmp_path / "other.safetensors", {})
    with pytest.raises(UnknownNameError, match=TASK):
        relabel(Relabel(data, (tmp_path / "other.safetensors",)))
