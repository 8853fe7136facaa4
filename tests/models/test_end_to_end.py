"""A critic with an encoder of its own: frozen or trained along, from a checkpoint or from scratch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file

from vgps_models import checkpoint
from vgps_models.critics.network import CriticConfig
from vgps_models.errors import SpecError, UnknownNameError
from vgps_models.perception.images import ImageConfig
from vgps_models.perception.language import Language
from vgps_models.perception.views import ViewsConfig, ViewsEncoder
from vgps_models.steering import Steering
from vgps_models.training.critic import CriticTraining, train_critic
from vgps_models.training.policy import PolicyTraining, train_policy

pytestmark = pytest.mark.numerical


@pytest.fixture(scope="module")
def seen(tmp_path_factory) -> Path:
    """A label-free encoder's checkpoint."""
    import torch

    torch.manual_seed(0)
    out = tmp_path_factory.mktemp("seen") / "video.safetensors"
    net = ViewsEncoder(ViewsConfig(("front", "wrist"), ImageConfig(size=32, width=16, depth=1, maps=4, out=8)))
    card = checkpoint.Card(kind="encoder", architecture={"encoder": net.config.to_json()})
    checkpoint.save(out, card, {"encoder": net}, Language())
    return out


@pytest.fixture(scope="module")
def training(episodes, policy_file, cache, seen) -> CriticTraining:
    return CriticTraining(
        data=episodes, policy=str(policy_file), cache=cache, samples=8, steps=4, batch=8, wrong_batch=4, threads=1,
        held_out=0.4, save_every=2, bf16="off", encoder=str(seen), model=CriticConfig(width=16, words=8),
    )  # fmt: skip


def encoder_weights(path: Path) -> dict[str, np.ndarray]:
    return {k: v for k, v in load_file(path).items() if k.startswith("encoder.")}


@pytest.mark.parametrize("algorithm", ["calql", "iql", "ota"])
def test_trained_along_it_moves_resumes_and_steers(training, seen, algorithm, policy_file, observe, tmp_path):
    config = replace(training, algorithm=algorithm, encoder_rate=1e-3)
    whole = train_critic(replace(config, out=tmp_path / "whole.safetensors"))
    broken = replace(config, out=tmp_path / "broken.safetensors")
    assert train_critic(broken, stop_after=3) is None and train_critic(broken) == broken.out
    assert whole is not None
    one, two = load_file(whole), load_file(broken.out)
    assert set(one) == set(two) and all(np.array_equal(one[k], two[k]) for k in one)
    began, ended = encoder_weights(seen), encoder_weights(whole)
    assert set(began) == set(ended) and not any(np.array_equal(began[k], ended[k]) for k in began)
    decision = Steering.from_checkpoints(policy_file, whole, k=5)(observe(3))
    assert np.isfinite(decision.mean).all() and decision.mean.shape == (5,)


def test_frozen_it_stays_as_it_was(training, seen, policy_file, observe, tmp_path):
    out = train_critic(replace(training, out=tmp_path / "frozen.safetensors"))
    assert out is not None
    began, ended = encoder_weights(seen), encoder_weights(out)
    assert set(began) == set(ended) and all(np.array_equal(began[k], ended[k]) for k in began)
    assert np.isfinite(Steering.from_checkpoints(policy_file, out, k=3)(observe(1)).mean).all()


def test_a_policy_may_see_with_it_and_be_steered(training, seen, observe, tmp_path):
    policy = train_policy(PolicyTraining(
        data=training.data, encoder=str(seen), out=tmp_path / "policy.safetensors", cache=training.cache,
        steps=4, batch=8, threads=1, held_out=0.2, model={"width": 32, "depth": 2, "words": 8},
    ))  # fmt: skip
    critic = train_critic(replace(training, policy=str(policy), encoder="", out=tmp_path / "critic.safetensors"))
    assert policy is not None and critic is not None
    began = encoder_weights(seen)
    assert all(np.array_equal(began[k], encoder_weights(path)[k]) for path in (policy, critic) for k in began)
    assert np.isfinite(Steering.from_checkpoints(policy, critic, k=3)(observe(2)).mean).all()


def test_an_unknown_encoder_lists_kinds_and_checkpoints(training, tmp_path):
    with pytest.raises(UnknownNameError, match="conv, critic, efficientnet"):
        train_critic(replace(training, encoder="nothing", out=tmp_path / "x.safetensors"))


def test_a_critic_that_sees_with_the_published_resnet_is_refused_by_name(training, tmp_path):
    from vgps_models.critics.resnet import ResNetConfig
    from vgps_models.training.pixel_critic import PixelTraining, train_pixels

    shared = {k: getattr(training, k) for k in ("data", "policy", "cache", "steps", "threads", "held_out", "bf16")}
    tiny = ResNetConfig(image_size=32, blocks=(1, 1), channels=8, sentence=384)
    pixels = train_pixels(
        PixelTraining(**shared, batch=8, wrong_batch=4, resnet=tiny, out=tmp_path / "pixels.safetensors")
    )
    with pytest.raises(SpecError, match="sees with a resnet"):
        train_critic(replace(training, encoder="", start=str(pixels), out=tmp_path / "x.safetensors"))
