"""bfloat16: what auto, on and off mean, that auto takes the faster of the two, and that a training can change it."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import torch

from vgps_models import checkpoint, precision
from vgps_models.critics.network import CriticConfig
from vgps_models.critics.resnet import ResNetConfig, ResNetEncoder
from vgps_models.errors import UnknownNameError
from vgps_models.perception.encoder import KeypointEncoder
from vgps_models.perception.images import ImageConfig
from vgps_models.perception.views import ViewsConfig, ViewsEncoder
from vgps_models.training.critic import CriticTraining, train_critic
from vgps_models.training.encoder import EncoderTraining, train_encoder
from vgps_models.training.neighbours import machine


@pytest.fixture(autouse=True)
def undecided() -> Iterator[None]:
    precision.bf16_is_faster.cache_clear()
    yield
    precision.bf16_is_faster.cache_clear()


def on_a_cpu(patch: pytest.MonkeyPatch, *, capability: str = "AVX512", speedup: float = 2.0, **has: Any) -> list[bool]:
    """Make the CPU one with these capabilities; what is returned lists the measurements."""
    asked: list[bool] = []

    def measured(*, gradients: bool) -> float:
        asked.append(gradients)
        return speedup

    x86 = capability != "SVE256"
    patch.setattr(platform, "machine", lambda: "x86_64" if x86 else "aarch64")
    patch.setattr(torch.cpu, "get_capabilities", lambda: {"architecture": "", **has}, raising=False)
    patch.setattr(torch.backends.cpu, "get_cpu_capability", lambda: capability)
    patch.setattr(precision, "speedup", measured)
    return asked


@pytest.mark.parametrize(
    ("capability", "has", "speedup", "faster", "measured"),
    [
        ("AVX512", {"avx512_bf16": True}, 1.8, True, True),
        ("AVX512", {"amx_bf16": True}, 1.8, True, True),
        ("AVX512", {"avx512_bf16": True}, 0.1, False, True),  # the instructions are there, the fast kernels are not
        ("AVX512", {"avx512_bf16": True}, 1.05, False, True),  # too near to decide alike in two processes
        ("AVX512", {"avx512_bf16": False}, 1.8, False, False),
        ("AVX2", {"avx512_bf16": True}, 1.8, False, False),  # ATEN_CPU_CAPABILITY=avx2
        ("DEFAULT", {"avx512_bf16": True}, 1.8, False, False),
        ("SVE256", {"bf16": True}, 1.8, True, True),
        ("SVE256", {"bf16": True}, 0.2, False, True),
        ("SVE256", {"bf16": False}, 1.8, False, False),
    ],
)
def test_auto_is_what_is_faster_here(capability, has, speedup, faster, measured, monkeypatch):
    asked = on_a_cpu(monkeypatch, capability=capability, speedup=speedup, **has)
    for gradients in (True, True, False):
        assert precision.uses_bf16("auto", gradients=gradients) is faster
        assert precision.uses_bf16("on", gradients=gradients) and not precision.uses_bf16("off", gradients=gradients)
    assert asked == ([True, False] if measured else [])  # once for each


@pytest.mark.parametrize("setting", ["yes", "", "On", True, None])
def test_other_settings_are_refused(setting):
    with pytest.raises(UnknownNameError, match="auto, off, on"):
        precision.uses_bf16(setting)


def test_an_old_torch_that_cannot_tell_is_measured(monkeypatch):
    asked = on_a_cpu(monkeypatch)
    monkeypatch.delattr(torch.cpu, "get_capabilities", raising=False)
    assert precision.uses_bf16("auto") and asked == [True]


def test_the_measurement_is_real_and_leaves_no_trace():
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    with torch.inference_mode():  # a network may be copied for inference within it
        ratios = [precision.speedup(gradients=gradients) for gradients in (True, False)]
    assert torch.equal(torch.rand(3), expected) and all(0 < ratio < 100 for ratio in ratios)
    with precision.autocast("off"):
        assert torch.mm(torch.ones(2, 2), torch.ones(2, 2)).dtype == torch.float32
    with precision.autocast("on"):
        assert torch.mm(torch.ones(2, 2), torch.ones(2, 2)).dtype == torch.bfloat16


@pytest.mark.skipif(platform.machine() != "x86_64", reason="ATEN_CPU_CAPABILITY names instructions of x86")
@pytest.mark.parametrize("capability", ["default", "avx2"])
def test_a_capability_that_is_forbidden_counts_as_absent(capability):
    code = "from vgps_models import precision; print(precision.has_instructions(), precision.uses_bf16('auto'))"
    shown = subprocess.run(
        [sys.executable, "-c", code], env=os.environ | {"ATEN_CPU_CAPABILITY": capability},
        capture_output=True, encoding="utf-8", check=True,
    )  # fmt: skip
    assert shown.stdout.split() == ["False", "False"]


@pytest.mark.parametrize("fast", [True, False])
def test_copies_for_inference_follow(fast, small_encoder, monkeypatch):
    on_a_cpu(monkeypatch, speedup=2.0 if fast else 0.5, avx512_bf16=True)
    encoders = [
        KeypointEncoder(small_encoder),
        ViewsEncoder(ViewsConfig(image=ImageConfig(kind="conv", size=32))),
        ResNetEncoder(ResNetConfig(image_size=32, blocks=(1,), channels=8)),
    ]
    wanted = torch.bfloat16 if fast else torch.float32
    for encoder in encoders:
        kinds = {m.weight.dtype for m in encoder.fast().modules() if isinstance(m, torch.nn.Conv2d)}
        assert kinds == {wanted} and {p.dtype for p in encoder.parameters()} == {torch.float32}
    assert machine()["bfloat16"] is fast


def test_a_training_begun_with_it_goes_on_without(
    scenes, small_encoder, episodes, policy_file, cache, tmp_path, capsys
):
    """As when the second half is trained on another machine; the card says what was used last."""
    eyes = EncoderTraining(data=scenes, steps=6, batch=16, threads=1, save_every=2, model=small_encoder)
    critic = CriticTraining(
        data=episodes, policy=str(policy_file), cache=cache, samples=4, steps=6, batch=16, wrong_batch=8,
        threads=1, save_every=2, model=CriticConfig(width=32, words=8),
    )  # fmt: skip
    trainings: list[tuple[Any, Any]] = [(train_encoder, eyes), (train_critic, critic)]
    for train, config in trainings:
        config = replace(config, out=tmp_path / f"{train.__name__}.safetensors")
        assert train(replace(config, bf16="on"), stop_after=3) is None
        capsys.readouterr()
        assert train(replace(config, bf16="off")) == config.out
        assert "resumed at step 3 of 6" in capsys.readouterr().err
        assert checkpoint.read_card(config.out).settings["bf16"] == "off"
        steps = [
            json.loads(line)["step"]
            for line in config.out.with_suffix(".log.jsonl").read_text(encoding="utf-8").splitlines()
        ]
        assert steps == sorted(steps)


def test_a_card_never_says_auto(scenes, small_encoder, tmp_path):
    out = tmp_path / "it.safetensors"
    train_encoder(EncoderTraining(data=scenes, steps=2, batch=16, threads=1, model=small_encoder, out=out))
    used = "on" if precision.uses_bf16("auto") else "off"
    assert checkpoint.read_card(out).settings["bf16"] == used
