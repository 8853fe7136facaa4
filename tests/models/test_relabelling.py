"""Rewards of recorded frames: transitions agree with returns, files fit their data or are refused."""

from __future__ import annotations

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_data_sampling import columns

from vgps_models.data import EpisodeStore, EpisodeWriter
from vgps_models.data.episodes import example_episode
from vgps_models.data.relabelling import holds_rewards, relabelled, write_rewards
from vgps_models.data.sampling import last_frames, rewarded
from vgps_models.errors import DataError

LENGTHS = st.lists(st.tuples(st.integers(1, 9), st.booleans()), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(LENGTHS, st.integers(1, 6), st.floats(0.5, 0.99), st.integers(0, 1000))
def test_what_a_chunk_earns_and_what_follows_make_the_return(episodes, horizon, gamma, seed):
    data = columns(episodes)
    rewards = -np.random.default_rng(seed).random(len(data)).astype(np.float32)
    made = rewarded(data, horizon, gamma, rewards)
    np.testing.assert_allclose(
        made.reward + made.discount * made.mc_return[made.following], made.mc_return, rtol=1e-4, atol=1e-4
    )
    assert made.usable.all() and (data.episode[made.following] == data.episode).all()
    assert (made.mc_return >= -1 / (1 - gamma) - 1e-3).all() and (made.mc_return <= 0).all()
    # By hand: what is earned to the end, and the last reward for ever.
    for frame in range(len(data)):
        end = last_frames(data)[frame]
        path = rewards[frame : end + 1].astype(float)
        by_hand = (path * gamma ** np.arange(len(path))).sum() + gamma ** len(path) * path[-1] / (1 - gamma)
        assert made.mc_return[frame] == pytest.approx(by_hand, rel=1e-4)


def test_outcomes_are_not_looked_at():
    rewards = -np.linspace(0.1, 0.9, 8).astype(np.float32)
    won, lost = (rewarded(columns([(5, outcome), (3, outcome)]), 4, 0.9, rewards) for outcome in (True, False))
    np.testing.assert_array_equal(won.mc_return, lost.mc_return)
    np.testing.assert_array_equal(won.reward, lost.reward)


@pytest.mark.parametrize("rewards", [np.zeros(7), np.full(8, 0.1), np.full(8, -1.1), np.full(8, np.nan)])
def test_rewards_that_cannot_be_are_refused(rewards):
    with pytest.raises(ValueError, match=r"\[-1, 0\]"):
        rewarded(columns([(5, True), (3, False)]), 4, 0.9, rewards)


@pytest.fixture
def data(tmp_path):
    writer = EpisodeWriter(tmp_path / "data")
    for number in range(2):
        writer.write(example_episode(number, steps=4 + number))
    writer.finalise()
    return tmp_path / "data"


def test_files_keep_rewards_and_know_their_data(data, tmp_path):
    rewards, store = -np.linspace(0, 1, 9).astype(np.float32), EpisodeStore(data)
    known = store.data_hash()
    path = write_rewards(tmp_path / "r.parquet", store, rewards, {"rewards": {"spoon": "spoon.safetensors"}})
    np.testing.assert_array_equal(relabelled(path, known, 9), rewards)
    assert holds_rewards(path) and not holds_rewards(tmp_path / "none.parquet")
    assert b"spoon.safetensors" in pq.read_schema(path).metadata[b"vgps"]
    other = EpisodeWriter(tmp_path / "other")
    other.write(example_episode(5, steps=9))
    other.finalise()
    with pytest.raises(DataError, match="other data"):
        relabelled(path, EpisodeStore(tmp_path / "other").data_hash(), 9)
    with pytest.raises(DataError, match="9 frames"):
        write_rewards(tmp_path / "r.parquet", store, rewards[:-1], {})
    with pytest.raises(DataError, match="vgps reward relabel"):
        relabelled(tmp_path / "none.parquet", known, 9)
    for share in (0.0, 0.4, 0.9):
        (tmp_path / "cut.parquet").write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
        with pytest.raises(DataError, match="vgps reward relabel"):
            relabelled(tmp_path / "cut.parquet", known, 9)
    write_rewards(tmp_path / "high.parquet", store, rewards + 0.5, {})
    with pytest.raises(DataError, match="within"):
        relabelled(tmp_path / "high.parquet", known, 9)
