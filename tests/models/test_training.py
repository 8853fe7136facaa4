"""Trainers: resumed runs end where unbroken ones do, windows and returns are right, errors are clear."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

from vgps_models import checkpoint
from vgps_models.critics.network import CriticConfig
from vgps_models.data import EpisodeStore
from vgps_models.errors import DataError, UnknownNameError
from vgps_models.spaces import Normaliser
from vgps_models.training import frames as frames_module
from vgps_models.training import loop
from vgps_models.training.critic import CriticTraining, train_critic
from vgps_models.training.encoder import EncoderTraining, seen_scenes, train_encoder
from vgps_models.training.frames import chunks
from vgps_models.training.policy import PolicyTraining, train_policy
from vgps_models.training.scenes import SceneSet

pytestmark = pytest.mark.numerical


@pytest.fixture(scope="module")
def trainings(scenes, small_encoder, encoder_file, policy_file, episodes, cache):
    """name -> (train, config) of every trainer, for a few steps."""
    critic = CriticTraining(
        data=episodes, policy=str(policy_file), cache=cache, samples=4, steps=6, batch=16, wrong_batch=8,
        threads=1, save_every=2, model=CriticConfig(width=32, words=8),
    )  # fmt: skip
    others = [("cql", "scalar"), ("iql", "scalar"), ("ota", "scalar"), ("calql", "hl_gauss"), ("iql", "hl_gauss")]
    critics = {
        f"{name}-{head}": (train_critic, replace(critic, algorithm=name, model=replace(critic.model, head=head)))
        for name, head in others
    }
    return critics | {
        "encoder": (
            train_encoder,
            EncoderTraining(data=scenes, steps=6, batch=16, threads=1, save_every=2, model=small_encoder),
        ),
        "policy": (
            train_policy,
            PolicyTraining(
                data=episodes, encoder=str(encoder_file), cache=cache, steps=6, batch=16, threads=1, save_every=2,
                feature_noise=0.1, model={"width": 32, "depth": 2, "words": 8},
            ),
        ),
        "critic": (train_critic, critic),
    }  # fmt: skip


@pytest.mark.parametrize(
    "name",
    [
        "encoder",
        "policy",
        "critic",
        "cql-scalar",
        "iql-scalar",
        "ota-scalar",
        "calql-hl_gauss",
        "iql-hl_gauss",
    ],
)
def test_a_resumed_training_ends_with_the_same_weights(trainings, name, tmp_path):
    train, config = trainings[name]
    whole = train(replace(config, out=tmp_path / "whole.safetensors"))
    broken = replace(config, out=tmp_path / "broken.safetensors")
    assert train(broken, stop_after=3) is None and not broken.out.exists()
    assert train(broken, stop_after=1) is None
    assert train(broken) == broken.out
    one, two = load_file(whole), load_file(broken.out)
    assert set(one) == set(two) and all(np.array_equal(one[k], two[k]) for k in one)
    assert not list(tmp_path.glob("*.resume.safetensors")) and not list(tmp_path.glob("*.partial"))
    steps = [
        json.loads(line)["step"]
        for line in broken.out.with_suffix(".log.jsonl").read_text(encoding="utf-8").splitlines()
    ]
    assert steps[-1] == 5


@pytest.mark.parametrize("name", ["policy", "critic"])
def test_other_settings_or_a_damaged_state_start_afresh(trainings, name, tmp_path):
    train, config = trainings[name]
    config = replace(config, out=tmp_path / "it.safetensors")
    train(config, stop_after=2)
    state = tmp_path / "it.resume.safetensors"
    other = tmp_path / "other.safetensors"
    shutil.copy(state, tmp_path / "other.resume.safetensors")
    seeded = train(replace(config, seed=1, out=other))
    fresh = train(replace(config, seed=1, out=tmp_path / "fresh.safetensors"))
    assert all(np.array_equal(a, load_file(fresh)[k]) for k, a in load_file(seeded).items())
    state.write_bytes(state.read_bytes()[:200])
    assert train(config) == config.out


def test_the_encoder_trains_without_labels(trainings, tmp_path):
    train, config = trainings["encoder"]
    made = train(replace(config, labels=False, out=tmp_path / "free.safetensors"))
    assert not checkpoint.read_card(made).architecture["encoder"]["supervised"]


def test_the_filtered_policy_uses_successes_and_the_normaliser_of_all(trainings, policy_file, tmp_path):
    train, config = trainings["policy"]
    made = train(replace(config, success_only=True, out=tmp_path / "filtered.safetensors"))
    assert checkpoint.read_card(made).normaliser == checkpoint.read_card(policy_file).normaliser


def test_critic_and_policy_speak_of_the_same_actions(policy_file, critic_file):
    policy, critic = checkpoint.read_card(policy_file), checkpoint.read_card(critic_file)
    assert (policy.spec, policy.normaliser, policy.encoder_sha256) == (
        critic.spec,
        critic.normaliser,
        critic.encoder_sha256,
    )
    assert critic.settings["policy_sha256"] == policy.weights_sha256
    assert 0 <= critic.metrics["held_out_auc"] <= 1


def test_encoded_frames_are_read_back_and_not_encoded_again(policy_file, episodes, cache, monkeypatch):
    perception = checkpoint.load_policy(policy_file).perception
    first = frames_module.load_frames(episodes, perception, cache)
    monkeypatch.setattr(frames_module, "_encode", None)
    again = frames_module.load_frames(episodes, perception, cache)
    assert np.array_equal(first.features, again.features)
    assert np.isfinite(first.features).all() and not np.allclose(first.features, first.wrong_features)


def test_chunks_stay_inside_their_episode_and_round_trip(episodes):
    store = EpisodeStore(episodes)
    columns, spec = store.columns(), store.spec
    normaliser = Normaliser.from_actions(columns.actions.astype(float), spec)
    metric = normaliser.denormalise(chunks(columns, spec, normaliser).reshape(-1, spec.horizon, 7).astype(float))
    for i, end in enumerate(columns.bounds[1:][columns.episode]):
        inside = min(spec.horizon, end - i)
        assert np.allclose(metric[i, :inside], spec.clip(columns.actions[i : i + inside].astype(float)), atol=1e-5)
        assert np.allclose(metric[i, inside:, :6], 0, atol=1e-6)
        assert np.allclose(metric[i, inside:, 6], round(float(columns.actions[end - 1, 6])), atol=1e-6)


@given(st.integers(1, 40), st.integers(1, 60), st.integers(0, 3))
def test_an_epoch_shows_every_row_once(batch, count, seed):
    batch = min(batch, count)
    seen = np.concatenate([loop.epoch_indices(seed, step, batch, count) for step in range(count // batch)])
    assert len(seen) == len(set(seen)) == count // batch * batch


def test_the_rate_warms_up_and_comes_down():
    rates = [loop.cosine(s, 1000) for s in range(1000)]
    assert np.argmax(rates) in (99, 100) and rates[-1] < 0.02 and min(rates) > 0


def test_scenes_are_read_as_they_were_written(scenes):
    made = SceneSet(scenes)
    assert len(made) == 96 and made.instructions == sorted(made.instructions)
    rows = np.array([3, 95, 50, 47])
    images = made.images(rows)
    assert images.shape == (4, 2, 32, 32, 3)
    assert np.array_equal(images[1, 0], np.load(scenes / "1" / "front.npy")[47])
    assert made.sha256() == SceneSet(scenes).sha256()


def test_a_broken_scene_set_is_named(scenes, tmp_path):
    with pytest.raises(DataError, match="vgps collect scenes"):
        SceneSet(tmp_path)
    copy = tmp_path / "copy"
    shutil.copytree(scenes, copy)
    np.save(copy / "0" / "held.npy", np.zeros(3, bool))
    with pytest.raises(DataError, match=r"held\.npy has 3 rows"):
        SceneSet(copy)
    (copy / "0" / "pixels.npy").write_bytes(b"half")
    with pytest.raises(DataError, match="collect it again"):
        SceneSet(copy)


def test_scenes_of_other_cameras_are_refused(scenes, small_encoder, tmp_path):
    config = EncoderTraining(
        data=scenes, out=tmp_path / "x.safetensors", model=replace(small_encoder, cameras=("front",))
    )
    with pytest.raises(DataError, match="cameras"):
        train_encoder(config)


def test_scenes_of_an_instruction_can_be_left_out(scenes):
    made = SceneSet(scenes)
    told = np.array(made.instructions)[made.column("instruction")]
    assert seen_scenes(made, []).tolist() == list(range(len(made)))
    kept = seen_scenes(made, ["carrot", "plate"])
    assert 0 < len(kept) < len(made) and set(told[kept]) == {"put the spoon on the towel"}
    with pytest.raises(UnknownNameError, match="put the carrot on the plate"):
        seen_scenes(made, ["carrot", "teapot"])
