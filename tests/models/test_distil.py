"""Best-of-K distillation: the targets are what the critic would have chosen, and the new policy moves there."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from vgps_models import checkpoint
from vgps_models.critics.network import CriticConfig
from vgps_models.data import EpisodeStore
from vgps_models.data.sampling import split_episodes
from vgps_models.errors import DataError, SpecError
from vgps_models.spaces import Observation
from vgps_models.training import distil, sample_cache
from vgps_models.training.critic import CriticTraining, train_critic
from vgps_models.training.distil import Distillation, guided
from vgps_models.training.encoder import EncoderTraining, train_encoder
from vgps_models.training.policy import PolicyTraining, train_policy

pytestmark = pytest.mark.numerical

K = 6


@pytest.fixture(scope="module")
def other_eyes(scenes, small_encoder, episodes, tmp_path_factory) -> Path:
    """A critic that looks through an encoder of its own."""
    folder = tmp_path_factory.mktemp("other")
    encoder, policy, critic = (folder / f"{name}.safetensors" for name in ("encoder", "policy", "critic"))
    train_encoder(
        EncoderTraining(data=scenes, out=encoder, steps=4, batch=16, threads=1, seed=5, model=small_encoder)
    )  # fmt: skip
    common = {"data": episodes, "cache": folder, "steps": 4, "batch": 16, "threads": 1}
    sizes = {"width": 32, "depth": 2, "words": 8}
    train_policy(PolicyTraining(encoder=str(encoder), out=policy, model=sizes, **common))
    train_critic(
        CriticTraining(
            policy=str(policy), out=critic, samples=4, wrong_batch=8, model=CriticConfig(width=32, words=8), **common
        )
    )  # fmt: skip
    return critic


@pytest.mark.parametrize("eyes", ["shared", "own"])
def test_targets_are_the_critics_choice_by_brute_force(eyes, policy_file, critic_file, other_eyes, episodes, cache):
    name = critic_file if eyes == "shared" else other_eyes
    made = guided(Distillation(str(policy_file), str(name), K), episodes, cache)
    policy, critic = checkpoint.load_policy(policy_file), checkpoint.load_critic(name)
    assert (critic.perception.sha256 == policy.perception.sha256) == (eyes == "shared")
    columns, spec = made.frames.columns, policy.spec
    assert made.samples.shape == (len(columns), K, 28) and len(np.unique(made.scores.argmax(1))) == K
    store = EpisodeStore(episodes)
    for row in range(0, len(columns), 7):
        episode = int(columns.episode[row])
        images = {c: v[row - columns.bounds[episode]] for c, v in store.images(episode).items()}
        words = columns.instructions[columns.instruction[row]]
        seen = critic.encode(Observation(images, columns.state[row].copy(), words))
        candidates = policy.normaliser.denormalise(made.samples[row].reshape(K, spec.horizon, 7).astype(float))
        mean, _ = critic.score(seen, candidates)
        assert np.allclose(mean, made.scores[row], atol=1e-3)
        assert np.array_equal(made.best[row], made.samples[row, int(np.argmax(mean))])
        # What is taught can be executed as it is.
        assert np.allclose(spec.clip(candidates), candidates, atol=1e-6)


@pytest.fixture(scope="module")
def training(policy_file, critic_file, episodes, cache) -> PolicyTraining:
    return PolicyTraining(
        data=episodes, cache=cache, steps=300, batch=64, rate=3e-3, average=0.98, threads=1, held_out=0.2,
        distil=Distillation(str(policy_file), str(critic_file), K),
    )  # fmt: skip


def test_the_distilled_policy_scores_higher_at_frames_it_has_not_seen(training, policy_file, critic_file, tmp_path):
    config = replace(training, out=tmp_path / "distilled.safetensors")
    train_policy(config)
    card, old = checkpoint.read_card(config.out), checkpoint.read_card(policy_file)
    told = card.metrics
    assert told["held_out_score_before"] < told["held_out_score_distilled"]
    assert told["held_out_score_before"] < told["held_out_score_best"]
    assert card.settings["distilled_policy_sha256"] == old.weights_sha256
    assert card.settings["distilled_critic_sha256"] == checkpoint.read_card(critic_file).weights_sha256
    assert (card.normaliser, card.spec, card.encoder_sha256) == (old.normaliser, old.spec, old.encoder_sha256)
    assert card.architecture == old.architecture


def test_held_out_frames_are_of_episodes_not_trained_on(training, monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(distil.Guided, "measure", lambda self, net, rows: asked.append(rows) or {})
    train_policy(replace(training, steps=2, out=tmp_path / "short.safetensors"))
    made = guided(training.distil, training.data, training.cache)
    train, _ = split_episodes(made.frames.columns, training.held_out, training.seed)
    assert len(asked[0]) and not train[asked[0]].any()


def test_it_goes_on_where_it_stopped_and_draws_nothing_twice(training, monkeypatch, tmp_path):
    config = replace(training, steps=6)
    whole = replace(config, out=tmp_path / "whole.safetensors")
    train_policy(whole)
    for module, name in ((distil, "_scores"), (sample_cache, "_draw")):
        monkeypatch.setattr(module, name, None)  # both caches are there
    monkeypatch.setattr(distil.Guided, "measure", lambda self, net, rows: {})
    broken = replace(config, out=tmp_path / "broken.safetensors")
    assert train_policy(broken, stop_after=3) is None
    assert train_policy(broken) == broken.out
    one, two = load_file(whole.out), load_file(broken.out)
    assert all(np.array_equal(one[name], two[name]) for name in one)


@pytest.mark.parametrize(
    ("change", "says"), [({"critic": ""}, "needs both"), ({"policy": ""}, "needs both"), ({"k": 1}, "at least 2")]
)
def test_half_a_distillation_is_refused(training, change, says, tmp_path):
    config = replace(training, out=tmp_path / "x.safetensors", distil=replace(training.distil, **change))
    with pytest.raises(SpecError, match=says):
        train_policy(config)


def test_a_policy_is_not_distilled_and_tuned_at_once(training, policy_file):
    with pytest.raises(DataError, match="not both"):
        train_policy(replace(training, start=str(policy_file)))
