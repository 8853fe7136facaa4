"""The state of a training that is not finished: weights and optimizer, which are never kept unless all are finite."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from vgps_models import checkpoint
from vgps_models.errors import VgpsError
from vgps_models.files import write_whole
from vgps_models.training.provenance import Fingerprint


class DivergedError(VgpsError):
    """A training whose loss, gradients or weights are no longer finite."""


class Stateful(Protocol):
    """modules: everything with weights, averages and targets too."""

    @property
    def modules(self) -> Mapping[str, nn.Module]: ...

    @property
    def optimiser(self) -> torch.optim.Optimizer: ...


class Resume:
    """What lies beside a checkpoint to come: the last finite state, and a note when the training diverged."""

    def __init__(self, out: Path, fingerprint: Fingerprint) -> None:
        self.state, self.diverged = files(out)
        self.fingerprint = fingerprint
        self.mended = False  # whether the state was loaded with other settings than those that diverged

    def save(self, trainable: Stateful, step: int) -> None:
        """Write the state after `step` updates, whole or not at all. Raises DivergedError when it is not finite."""
        tensors = dict(_tensors(trainable))
        if bad := checkpoint.not_finite(tensors):
            raise DivergedError(f"{bad} is not finite after {step} updates")
        metadata = {
            "step": str(step), "fingerprint": self.fingerprint.fixed, "rates": json.dumps(self.fingerprint.rates),
        }  # fmt: skip
        partial = self.state.with_suffix(f".{os.getpid()}.partial")
        try:
            save_file(tensors, partial, metadata=metadata)
            partial.replace(self.state)
        finally:
            partial.unlink(missing_ok=True)
        self.diverged.unlink(missing_ok=True)  # these settings go on; until now the note let other rates resume

    def load(self, trainable: Stateful) -> int:
        """Put the saved state into `trainable`; the step to go on from, or 0 when nothing fits.

        Raises DivergedError when the same settings diverged from there. After a divergence, other rates fit too.
        """
        note = self._note()
        if note and note["settings"] == self.fingerprint.changeable:
            raise DivergedError(f"{note['message']} (this is what the last run said, and no setting was changed since)")
        try:
            with safe_open(self.state, framework="pt") as file:
                metadata = file.metadata() or {}
                if metadata.get("fingerprint") != self.fingerprint.fixed:
                    return 0
                if note is None and json.loads(metadata.get("rates", "{}")) != self.fingerprint.rates:
                    return 0
                tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        except (OSError, ValueError, SafetensorError):
            return 0
        _put(trainable, tensors)
        self.mended = note is not None
        return int(metadata["step"])

    def set_aside(self, word: str) -> Path:
        """Move the state out of the way, so that the training starts afresh. Returns its path, `<out>.<word>`."""
        aside = self.state.with_suffix("").with_suffix(f".{word}.safetensors")
        self.state.replace(aside)
        self.diverged.unlink(missing_ok=True)
        return aside

    def note(self, message: str) -> None:
        """Remember that the training diverged with these settings."""
        note = {"fingerprint": self.fingerprint.fixed, "settings": self.fingerprint.changeable, "message": message}
        write_whole(self.diverged, (json.dumps(note, indent=1) + "\n").encode())

    def _note(self) -> dict[str, Any] | None:
        try:
            note = json.loads(self.diverged.read_text(encoding="utf-8"))
            return note if note["fingerprint"] == self.fingerprint.fixed and note["settings"] else None
        except (OSError, ValueError, LookupError, TypeError):
            return None


def files(out: Path) -> tuple[Path, Path]:
    """State and note of the training that will write the checkpoint `out`."""
    return out.with_suffix(".resume.safetensors"), out.with_suffix(".diverged.json")


def bad_gradient(trainable: Stateful) -> str | None:
    """The first parameter whose gradient is not finite, or None."""
    named = [(f"{part}.{n}", p.grad) for part, m in trainable.modules.items() for n, p in m.named_parameters()]
    return checkpoint.not_finite({name: gradient for name, gradient in named if gradient is not None})


def _tensors(trainable: Stateful) -> Iterator[tuple[str, Tensor]]:
    for name, module in trainable.modules.items():
        for key, value in module.state_dict().items():
            yield f"module.{name}.{key}", value.detach().contiguous().clone()
    for i, state in trainable.optimiser.state_dict()["state"].items():
        for key, value in state.items():
            yield f"optimiser.{i}.{key}", torch.as_tensor(value).contiguous().clone()


def _put(trainable: Stateful, tensors: Mapping[str, Tensor]) -> None:
    for name, module in trainable.modules.items():
        prefix = f"module.{name}."
        module.load_state_dict({k[len(prefix) :]: v for k, v in tensors.items() if k.startswith(prefix)})
    parameters = [p for group in trainable.optimiser.param_groups for p in group["params"]]
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        if key.startswith("optimiser."):
            _, i, name = key.split(".", 2)
            like = parameters[int(i)]
            if value.shape == like.shape:  # a fused optimiser walks through both in the order of memory
                value = torch.empty_like(like, dtype=value.dtype).copy_(value)
            state.setdefault(int(i), {})[name] = value
    trainable.optimiser.load_state_dict({**trainable.optimiser.state_dict(), "state": state})
