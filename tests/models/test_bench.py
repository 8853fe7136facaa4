"""The benches measure what they say: the same choice by both ways of scoring, each observation encoded once a step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from vgps_models.critics.calql import CalQLConfig
from vgps_models.critics.network import Critic, CriticConfig, QEnsemble
from vgps_models.critics.resnet import PixelPerception, ResNetConfig, ResNetEncoder
from vgps_models.errors import SpecError
from vgps_models.spaces import ActionSpec
from vgps_models.training import bench, bench_train
from vgps_models.training.bench import ScoreBench, bench_score
from vgps_models.training.pixel_critic import PUBLISHED, PixelTraining

TINY = ResNetConfig(image_size=32, blocks=(1, 1), channels=8, sentence=384)
HEADS = CriticConfig(features=TINY.features, chunk=7, heads=2, width=16, words=0)


def tiny_resnet(seed: int = 0) -> Critic:
    torch.manual_seed(seed)
    spec = ActionSpec(horizon=1)
    perception = PixelPerception(ResNetEncoder(TINY), bench._language())
    return Critic(perception, QEnsemble(HEADS), spec, bench._limits(spec))


@pytest.mark.parametrize("config", ["keypoint", "resnet34"])
def test_every_k_is_measured_against_the_smallest(config, monkeypatch):
    monkeypatch.setitem(bench.UNTRAINED, "resnet34", tiny_resnet)
    monkeypatch.setattr(bench, "RARE", 2)
    told = bench_score(ScoreBench(config=config, k=(1, 10, 30), rounds=3))
    assert list(told["k"]) == list(told["ratio"]) == ["1", "10", "30"]
    assert told["ratio"]["1"] == 1.0 and all(0 < row["p50_ms"] <= row["p99_ms"] for row in told["k"].values())
    assert ("as_published" in told) == (config == "resnet34")


def test_repeating_the_image_gives_the_same_choice():
    critic, random = tiny_resnet(), np.random.default_rng(0)
    eyes = critic.perception
    assert isinstance(eyes, PixelPerception)
    eyes._encoder = eyes.encoder.eval()  # in float32, as the published way runs
    repeated = bench._Repeated(critic, eyes)
    for step in range(5):
        observation = bench._observation(TINY, random, step)
        candidates = critic.spec.clip(random.normal(size=(12, 1, 7)))
        normalised = torch.from_numpy(critic.normaliser.normalise(candidates)[None, :, 0]).float()
        q = critic.net.score(critic.encode(observation), normalised)  # (E, 1, K)
        assert repeated(observation, candidates) == int(q[:, 0].amin(0).argmax())


def test_channels_first_computes_the_same():
    torch.manual_seed(0)
    made = ResNetEncoder(TINY).eval().requires_grad_(False)
    inputs = torch.randint(0, 256, (2, 32, 32, 3), dtype=torch.uint8), torch.randn(2, 384) / 20
    before = made(*inputs)
    assert torch.allclose(bench.channels_first(made)(*inputs), before, atol=1e-5)
    assert made.stem.weight.is_contiguous()


def test_only_the_published_encoder_has_variants():
    with pytest.raises(SpecError, match="--config resnet34"):
        bench_score(ScoreBench(rounds=1, k=(1,), variants=True))


@pytest.mark.parametrize(("weight", "rows"), [(0.0, 8), (CalQLConfig.wrong_weight, 12)])
def test_a_step_encodes_each_observation_once_and_scores_thirteen_chunks(weight, rows):
    training = PixelTraining(
        batch=8, wrong_batch=4, threads=1, resnet=TINY, model=HEADS, calql=replace(PUBLISHED, wrong_weight=weight)
    )
    told = bench_train._measure(bench_train._Way(training, steps=2))
    assert told["encoded_rows"] == {"with_gradients": rows, "without": 8}
    assert told["scored_chunks"] == 13  # the data's, 4 uniform, 4 of the policy at s and 4 at s'
    shares = list(told["operations"].values())
    assert shares == sorted(shares, reverse=True) and 0 < sum(shares) <= 1.001
    assert 0 < told["step_s"]["min"] <= told["step_s"]["p50"] and 0 < told["peak_rss_gb"] < 100
