"""Encoders without labels: any size, rows apart, places found, frozen where they should be, one perception for all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from vgps_models import checkpoint
from vgps_models.errors import UnknownNameError
from vgps_models.perception.images import EfficientNet, ImageConfig, ImageNet
from vgps_models.perception.language import Language
from vgps_models.perception.runtime import Perception
from vgps_models.perception.views import ViewsConfig, ViewsEncoder

KINDS = ("conv", "resnet", "vit")


def small(kind: str, size: int = 32) -> ImageConfig:
    return ImageConfig(kind, size=size, width=32, depth=1, maps=4, out=16)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [32, 64])
def test_shapes_follow_the_config(kind, size):
    config = ViewsConfig(("front", "wrist", "shoulder"), small(kind, size))
    images = torch.randint(0, 256, (2, 3, size, size, 3), dtype=torch.uint8)
    made = ViewsEncoder(config)
    features = made.encode(images, torch.randn(2, 10), torch.zeros(2, 384))
    assert features.shape == (2, config.features) == (2, 10 + 3 * 16) and features.dtype == torch.float32
    assert made.look(images, torch.zeros(2, 384)).shape == (2, made.looks)
    assert ViewsConfig.from_json(config.to_json()) == config


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_a_batch_do_not_mix_and_all_weights_learn(kind):
    torch.manual_seed(0)
    net, images = ImageNet(small(kind)), torch.randint(0, 256, (3, 32, 32, 3), dtype=torch.uint8)
    together, alone = net(images), torch.cat([net(image[None]) for image in images])
    assert torch.allclose(together, alone, atol=1e-5)
    (together * torch.randn_like(together)).sum().backward()
    still = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.any()]
    # The blocks of a ResNet start behind a scale of zero, which alone gets a gradient at first.
    assert still == [] or (kind == "resnet" and all(".blocks." in name for name in still))


@pytest.mark.parametrize("kind", ["conv", "vit"])
def test_it_learns_where_a_thing_is(kind):
    torch.manual_seed(0)
    net = ImageNet(small(kind))
    read = torch.nn.Linear(16, 2)
    optimiser = torch.optim.Adam([*net.parameters(), *read.parameters()], 3e-3)
    for _ in range(200):
        where = torch.randint(3, 29, (32, 2))
        error = (read(net(_spots(where))) - where / 16 + 1).square().mean()
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
    assert float(error.detach()) < 0.05  # a guess of the middle has 0.27


def _spots(where: torch.Tensor) -> torch.Tensor:
    images = torch.full((len(where), 32, 32, 3), 127.5)
    for image, (u, v) in zip(images, where.tolist(), strict=True):
        image[v - 2 : v + 3, u - 2 : u + 3, 0] = 255.0
    return images


@pytest.mark.parametrize("kind", ["conv", "resnet"])
def test_the_fast_copy_says_nearly_the_same(kind):
    torch.manual_seed(0)
    net = ViewsEncoder(ViewsConfig(("front",), small(kind)))
    images, proprio = torch.randint(0, 256, (4, 1, 32, 32, 3), dtype=torch.uint8), torch.randn(4, 10)
    slow, fast = (n.encode(images, proprio, torch.zeros(4, 384)) for n in (net, net.fast()))
    assert torch.allclose(slow, fast, atol=0.1) and not fast.requires_grad


def test_perception_takes_it_and_a_checkpoint_gives_it_back(tmp_path: Path, observe):
    net = ViewsEncoder(ViewsConfig(("front", "wrist"), small("conv")))
    language = Language()
    card = checkpoint.Card(kind="encoder", architecture={"encoder": net.config.to_json()}, instructions=("do it",))
    checkpoint.save(tmp_path / "video.safetensors", card, {"encoder": net}, language)
    _, again = checkpoint.load_perception(tmp_path / "video.safetensors")
    moment = observe(3)
    here, there = Perception(net, language)(moment), again(moment)
    assert torch.equal(here.features, there.features) and here.features.shape == (1, net.config.features)
    assert checkpoint.read_card(tmp_path / "video.safetensors").to_json()["cameras"] == ["front", "wrist"]


def test_unknown_kinds_are_refused():
    with pytest.raises(UnknownNameError, match="conv, efficientnet, resnet, vit"):
        ImageConfig("alexnet")


def test_imagenet_features_tell_places_and_never_change():
    pytest.importorskip("efficientnet_lite_pytorch")
    config = replace(small("efficientnet"), size=64)
    net = ImageNet(config).train()
    images = np.full((2, 64, 64, 3), 128, np.uint8)
    images[0, 8:24, 8:24], images[1, 40:56, 40:56] = (255, 40, 40), (255, 40, 40)
    with torch.no_grad():
        one, two = net(torch.from_numpy(images))
        again = net(torch.from_numpy(images))
    assert one.shape == (config.features,) == (4 * EfficientNet.CHANNELS,)
    places = one[: 2 * EfficientNet.CHANNELS].view(-1, 2), two[: 2 * EfficientNet.CHANNELS].view(-1, 2)
    assert (places[0].mean(0) < places[1].mean(0)).all()  # up and left of the other, as the square is
    assert torch.equal(again[0], one) and not any(p.requires_grad for p in net.parameters())
