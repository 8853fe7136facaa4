"""bfloat16 where it is faster, float32 everywhere else: one decision for training and for inference.

A processor without bfloat16 instructions emulates them, 3 to 20 times slower than float32. Instructions alone do not
settle it either: what torch runs depends on ATEN_CPU_CAPABILITY and ONEDNN_MAX_CPU_ISA, and some libraries have no
fast gradient of a bfloat16 convolution. So where the instructions exist, a small network is timed both ways, once a
process. bfloat16 must win by `MARGIN`, so that two processes on one machine do not decide differently.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Iterable
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import cache
from typing import Any, Literal, TypeVar

import torch
from torch import Tensor, nn

from vgps_models.errors import UnknownNameError

Bf16 = Literal["auto", "on", "off"]
BF16 = ("auto", "on", "off")
MARGIN = 1.15  # float32 must take this many times as long as bfloat16
ROUNDS = 5  # the fastest of them counts: other programs only ever slow a round down
C = TypeVar("C")


def uses_bf16(setting: str, device: torch.device | str = "cpu", *, gradients: bool = True) -> bool:
    """What a setting of `BF16` means on this device. gradients: for training; False for inference.

    Raises UnknownNameError for another setting.
    """
    if setting not in BF16:
        raise UnknownNameError("bf16", str(setting), BF16)
    return setting == "on" or (setting == "auto" and bf16_is_faster(torch.device(device), gradients=gradients))


def settled(config: C, device: torch.device | str = "cpu") -> C:
    """A training's settings with `bf16` on or off instead of auto, so that its checkpoint says what was used."""
    settings: Any = config
    return replace(settings, bf16="on" if uses_bf16(settings.bf16, device) else "off")


def autocast(setting: str, device: torch.device | str = "cpu") -> AbstractContextManager[Any]:
    """Within it, matrix products and convolutions run in bfloat16 if the setting asks for it."""
    kind = torch.device(device).type
    return torch.autocast(kind, dtype=torch.bfloat16, enabled=uses_bf16(setting, device))


def for_inference(layers: Iterable[nn.Module]) -> None:
    """Turn convolutions that will only be used for inference to bfloat16 where that is faster on the CPU."""
    if bf16_is_faster(torch.device("cpu"), gradients=False):
        for layer in layers:
            if isinstance(layer, nn.Conv2d):
                layer.to(torch.bfloat16)


@cache
def bf16_is_faster(device: torch.device, *, gradients: bool) -> bool:
    """Whether bfloat16 is the faster of the two on this device; measured on CPUs that have the instructions."""
    if device.type == "cuda":
        return torch.version.hip is not None or torch.cuda.get_device_capability(device)[0] >= 8
    return device.type == "cpu" and has_instructions() and speedup(gradients=gradients) > MARGIN


def has_instructions() -> bool:
    """Whether the CPU multiplies bfloat16 itself and torch may use that.

    True also where torch is too old to tell: then `speedup` decides.
    """
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    if platform.machine().lower() in ("x86_64", "amd64"):
        # ATEN_CPU_CAPABILITY can forbid what the processor has.
        wide = torch.backends.cpu.get_cpu_capability().startswith("AVX512")
        return wide and (not capabilities or bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")))
    return not capabilities or bool(capabilities.get("bf16") or capabilities.get("sve_bf16"))


def speedup(*, gradients: bool) -> float:
    """How many times as long float32 takes as bfloat16 for a small network on the CPU, with torch's threads now."""
    with torch.random.fork_rng(devices=()), torch.inference_mode(False):  # the caller's draws stay what they were
        convs = nn.Sequential(nn.Conv2d(64, 64, 3, padding=1), nn.ReLU(), nn.Conv2d(64, 64, 3, padding=1), nn.ReLU())
        layers = nn.Sequential(nn.Linear(64, 256), nn.ReLU(), nn.Linear(256, 256))
        images = torch.randn(4, 64, 16, 16).to(memory_format=torch.channels_last)
        convs.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    seconds = {on: float("inf") for on in (False, True)}
    for number in range(ROUNDS + 1):
        for on in seconds:
            began = time.perf_counter()
            _once(convs, layers, images, on, gradients)
            if number:  # the first round also prepares the kernels
                seconds[on] = min(seconds[on], time.perf_counter() - began)
    return seconds[False] / seconds[True]


def _once(convs: nn.Module, layers: nn.Module, images: Tensor, bf16: bool, gradients: bool) -> None:
    """About as much work in convolutions as in products over the rows that come out of them."""
    with torch.inference_mode(False), torch.set_grad_enabled(gradients):
        with torch.autocast("cpu", dtype=torch.bfloat16, enabled=bf16):
            out = layers(convs(images).permute(0, 2, 3, 1))
        if gradients:
            out.float().sum().backward()
