"""The encoder: shapes, independence of rows, labels -> heat-maps, and that it learns to locate."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vgps_models.errors import SpecError
from vgps_models.perception.encoder import EncoderConfig, KeypointEncoder, displacements
from vgps_models.perception.language import Language
from vgps_models.perception.runtime import Perception, weights_sha256
from vgps_models.training.augment import Augment, AugmentConfig
from vgps_models.training.encoder import heatmap_target, thumbnails


def inputs(config: EncoderConfig, batch: int):
    generator = torch.Generator().manual_seed(batch)
    shape = (batch, len(config.cameras), config.image_size, config.image_size, 3)
    return (
        torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8),
        torch.randn(batch, 10, generator=generator),
        torch.randn(batch, 384, generator=generator) / 20,
    )


@pytest.mark.parametrize("cameras", [("front",), ("front", "wrist"), ("front", "wrist", "shoulder")])
@pytest.mark.parametrize("keypoints", [("object", "target"), ("object", "target", "tip")])
def test_shapes_follow_the_config(small_encoder, cameras, keypoints):
    config = replace(small_encoder, cameras=cameras, keypoints=keypoints)
    percept = KeypointEncoder(config)(*inputs(config, 3))
    assert percept.features.shape == (3, config.features)
    assert percept.logits.shape == (3, len(cameras), len(keypoints), config.grid**2 + 1)
    assert percept.confidence.shape == (3, len(cameras), len(keypoints))
    assert percept.object_position.shape == percept.target_position.shape == (3, 3)
    assert all(t.dtype == torch.float32 for t in vars(percept).values())
    assert EncoderConfig.from_json(config.to_json()) == config


def test_rows_of_a_batch_do_not_mix(small_encoder):
    net = KeypointEncoder(small_encoder)
    images, proprio, sentence = inputs(small_encoder, 5)
    together = net(images, proprio, sentence).features
    alone = torch.cat([net(images[i : i + 1], proprio[i : i + 1], sentence[i : i + 1]).features for i in range(5)])
    assert torch.allclose(together, alone, atol=1e-4)


def test_the_sentence_selects_what_is_looked_for(small_encoder):
    net = KeypointEncoder(small_encoder)
    images, proprio, sentence = inputs(small_encoder, 2)
    one, two = (net(images[:1], proprio[:1], sentence[i : i + 1]).logits for i in (0, 1))
    assert not torch.allclose(one, two)


def test_without_labels_no_position_is_claimed(small_encoder):
    net = KeypointEncoder(replace(small_encoder, supervised=False))
    percept = net(*inputs(small_encoder, 4))
    assert torch.equal(percept.object_position, net.position_mean[:3].expand(4, 3))


@settings(max_examples=30)
@given(st.integers(0, 1000), st.floats(2.0, 30.0), st.floats(2.0, 30.0))
def test_a_heatmap_target_has_its_mean_at_the_pixel(seed, u, v):
    config = EncoderConfig(image_size=32)
    pixels, visible = torch.tensor([[u, v]]), torch.tensor([True])
    target = heatmap_target(pixels, visible, config)[0]
    centres = (torch.arange(config.grid) + 0.5) * 4
    heat = target[:-1].view(config.grid, config.grid)
    assert target.sum() == pytest.approx(1.0, abs=1e-5) and target[-1] == 0
    assert float((heat.sum(0) * centres).sum()) == pytest.approx(u, abs=1e-3)
    assert float((heat.sum(1) * centres).sum()) == pytest.approx(v, abs=1e-3)
    assert heatmap_target(pixels, ~visible, config)[0, -1] == 1


@given(st.integers(0, 100))
@settings(max_examples=10)
def test_augmented_labels_move_with_the_image(seed):
    rng = np.random.default_rng(seed)
    images = torch.zeros(4, 2, 32, 32, 3, dtype=torch.uint8)
    images[:, :, 10, 20] = 255
    pixels = torch.tensor([20.5, 10.5]).expand(4, 2, 1, 2)
    plain = AugmentConfig(brightness=0, contrast=0, colour=0, noise=0, shift=3, shifted=0.7)
    out, moved = Augment(plain)(images, pixels, rng)
    bright = out.sum(-1).flatten(2).argmax(-1)
    assert torch.equal(moved[..., 0, 0].floor().long(), bright % 32)
    assert torch.equal(moved[..., 0, 1].floor().long(), bright // 32)
    assert out.min() >= 0 and out.max() <= 255


def test_augmentation_is_a_function_of_its_generator():
    images = torch.randint(0, 256, (3, 2, 16, 16, 3), dtype=torch.uint8)
    pixels = torch.rand(3, 2, 2, 2) * 16
    first, second = (Augment(AugmentConfig())(images, pixels, np.random.default_rng(7))[0] for _ in range(2))
    assert torch.equal(first, second)


def test_displacements_are_zero_at_the_thing():
    here = torch.rand(2, 3)
    assert torch.equal(displacements(here, here, here), torch.zeros(2, 18))
    assert thumbnails(torch.zeros(2, 2, 32, 32, 3)).shape == (2, 2, 3, 16, 16)


def test_perception_runs_once_an_observation_and_is_deterministic(small_encoder, observe):
    perception = Perception(KeypointEncoder(small_encoder), Language())
    observation = observe(1)
    seen = perception(observation)
    assert perception(observation) is seen
    perception(observe(2))
    assert torch.equal(perception(observation).features, seen.features)


def test_a_batch_sees_what_single_observations_see(small_encoder, observe):
    perception = Perception(KeypointEncoder(small_encoder), Language())
    moments = [observe(i) for i in range(3)]
    images = torch.from_numpy(np.stack([np.stack([o.images[c] for c in small_encoder.cameras]) for o in moments]))
    proprio = torch.from_numpy(np.stack([o.proprio for o in moments]))
    words = torch.from_numpy(perception.language.table([o.instruction for o in moments]))
    batch = perception.batch(images, proprio, words)
    alone = torch.cat([perception(o).features for o in moments])
    assert torch.allclose(batch, alone, atol=2e-2)  # bfloat16 sums may differ in their order


def test_wrong_observations_are_refused_by_name(small_encoder, observe):
    perception = Perception(KeypointEncoder(small_encoder), Language())
    good = observe()
    with pytest.raises(SpecError, match="'wrist'"):
        perception(replace(good, images={"front": good.images["front"]}))
    with pytest.raises(SpecError, match="uint8"):
        perception(replace(good, images={c: i.astype(np.float32) for c, i in good.images.items()}))
    with pytest.raises(SpecError, match="proprio"):
        perception(replace(good, proprio=np.full(10, np.nan, np.float32)))


def test_the_hash_tells_weights_apart(small_encoder):
    net = KeypointEncoder(small_encoder)
    before = weights_sha256(net)
    assert before == weights_sha256(net)
    with torch.no_grad():
        net.read.bias[0] += 1e-3
    assert weights_sha256(net) != before
