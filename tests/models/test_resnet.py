"""The published encoder: its sizes, FiLM, rows that keep to themselves, and the image that any camera gives it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from vgps_models.critics.network import Critic, QEnsemble
from vgps_models.critics.resnet import (
    HEADS,
    Block,
    PixelPerception,
    ResNetConfig,
    ResNetEncoder,
    resized,
)
from vgps_models.errors import SpecError
from vgps_models.perception.language import Language
from vgps_models.spaces import ActionSpec, Normaliser, Observation

TINY = ResNetConfig(image_size=32, blocks=(1, 1), channels=8, sentence=384)
SPEC = ActionSpec(horizon=1)


def encoder(config: ResNetConfig = TINY, *, films: bool = True) -> ResNetEncoder:
    torch.manual_seed(0)
    made = ResNetEncoder(config)
    if films:
        for weight in films_of(made):
            torch.nn.init.normal_(weight, std=0.02)
    return made.eval().requires_grad_(False)


def films_of(made: ResNetEncoder) -> list[torch.Tensor]:
    return [p for name, p in made.named_parameters() if ".film." in name]


def inputs(rows: int, seed: int = 0, size: int = TINY.image_size) -> tuple[torch.Tensor, torch.Tensor]:
    g = torch.Generator().manual_seed(seed)
    images = torch.randint(0, 256, (rows, size, size, 3), generator=g, dtype=torch.uint8)
    return images, F.normalize(torch.randn(rows, 384, generator=g), dim=-1)


def test_the_published_sizes():
    """ResNet-34 without its classifier has 21 284 672 weights; FiLM reads 512 numbers and writes two a channel."""
    made = ResNetEncoder(ResNetConfig())
    films = sum(p.numel() for p in films_of(made))
    assert sum(p.numel() for p in made.parameters()) - films == 21_284_672
    assert films == 513 * 2 * (3 * 64 + 4 * 128 + 6 * 256 + 3 * 512)
    assert (made.config.features, made.config.image_size, len(made.blocks)) == (512, 256, 16)
    assert all(norm.num_groups == 4 for norm in made.modules() if isinstance(norm, torch.nn.GroupNorm))
    # Two heads: 512 + 7 -> 256 -> 256 -> 1, whose first layer is told its bias twice.
    heads = QEnsemble(HEADS)
    assert sum(p.numel() for p in heads.parameters()) == 2 * (519 * 256 + 2 * 256 + 257 * 256 + 257)


def test_an_untrained_film_leaves_everything_as_it_is():
    (images, one), (_, other) = inputs(3), inputs(3, seed=1)
    assert torch.equal(encoder(films=False)(images, one), encoder(films=False)(images, other))
    assert not torch.allclose(encoder()(images, one), encoder()(images, other), atol=1e-3)


def test_film_scales_and_shifts_every_channel_of_a_block():
    torch.manual_seed(0)
    block, x = Block(8, 8, 1, TINY), torch.randn(2, 8, 6, 6)
    plain = block(x, torch.randn(2, 384))
    scale, shift = torch.randn(8), torch.randn(8)
    block.film.bias.data = torch.cat([scale, shift])
    expected = plain * (1 + scale)[:, None, None] + shift[:, None, None]
    assert torch.allclose(block(x, torch.zeros(2, 384)), expected, atol=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.integers(1, 6), st.integers(0, 10**6))
def test_rows_of_a_batch_do_not_know_of_each_other(rows, seed):
    images, sentence = inputs(rows, seed)
    together = encoder()(images, sentence)
    alone = torch.cat([encoder()(images[i : i + 1], sentence[i : i + 1]) for i in range(rows)])
    assert together.shape == (rows, TINY.features) and together.dtype == torch.float32
    assert torch.allclose(together, alone, atol=1e-5)


def test_a_shorter_sentence_is_filled_up_and_a_longer_one_refused():
    images, sentence = inputs(2)
    wide = encoder(ResNetConfig(image_size=32, blocks=(1, 1), channels=8, sentence=512))
    assert torch.equal(wide(images, sentence), wide(images, F.pad(sentence, (0, 128))))
    with pytest.raises(SpecError, match="384"):
        ResNetEncoder(ResNetConfig(sentence=100))


def test_it_runs_as_it_was_trained_but_for_rounding():
    images, sentence = inputs(4)
    trained, runs = encoder()(images, sentence), encoder().fast()(images, sentence)
    assert (trained - runs).abs().max() < 0.03 * trained.abs().max()


def test_a_config_survives_its_json():
    assert ResNetConfig.from_json(TINY.to_json()) == TINY
    assert TINY.to_json()["name"] == "resnet"


@given(st.integers(8, 64), st.integers(8, 64), st.integers(0, 255))
def test_images_of_any_size_are_read(size, wanted, level):
    flat = torch.full((2, size, size, 3), level, dtype=torch.uint8)
    assert torch.equal(resized(flat, wanted), torch.full((2, wanted, wanted, 3), level, dtype=torch.uint8))
    assert resized(flat, size) is flat


def critic() -> Critic:
    sentence = F.normalize(torch.ones(384), dim=0).numpy()
    torch.manual_seed(1)
    net = QEnsemble(type(HEADS)(features=TINY.features, chunk=7, heads=2, width=16, words=0))
    perception = PixelPerception(encoder(), Language({"do it": sentence}))
    return Critic(perception, net, SPEC, Normaliser(tuple(SPEC.low.tolist()), tuple(SPEC.high.tolist())))


def test_all_candidates_are_scored_on_one_encoding():
    made, random = critic(), np.random.default_rng(0)
    image = random.integers(0, 256, (64, 64, 3), dtype=np.uint8)
    observation = Observation({"front": image}, np.zeros(10, np.float32), "do it")
    runs = []
    made.perception._encoder.register_forward_hook(lambda *_: runs.append(1))  # type: ignore[attr-defined]
    candidates = SPEC.clip(random.normal(size=(9, 1, 7)))
    mean, std = made.score(made.encode(observation), candidates)
    alone = [made.score(made.encode(observation), candidates[i : i + 1])[0][0] for i in range(9)]
    assert len(runs) == 1 and mean.shape == std.shape == (9,)
    assert np.allclose(mean, alone, atol=1e-4) and np.ptp(mean) > 0


@pytest.mark.parametrize(
    ("images", "match"),
    [
        ({"wrist": np.zeros((32, 32, 3), np.uint8)}, "needs 'front'"),
        ({"front": np.zeros((32, 40, 3), np.uint8)}, "uint8 \\(h, h, 3\\)"),
        ({"front": np.zeros((32, 32, 3), np.float32)}, "float32"),
    ],
)
def test_other_images_are_refused(images, match):
    with pytest.raises(SpecError, match=match):
        critic().encode(Observation(images, np.zeros(10, np.float32), "do it"))
