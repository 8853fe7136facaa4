"""One training in several processes, on CPUs or GPUs, started by `accelerate launch`. In one process nothing here acts.

Every process draws the same batch and the same noise from (seed, step), works
on its own rows of it, and averages its gradients with the others'. So the
weights are the same everywhere, and the same, up to rounding, as in one process.

    accelerate launch --multi_gpu --num_processes 2 .venv/bin/vgps train critic --threads 1

`--multi_gpu` is what makes accelerate start several processes, also where there
is no GPU; they then talk over gloo.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import fields, is_dataclass, replace
from functools import cache
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from vgps_models.errors import MissingDependencyError, SpecError

# Whoever starts several processes says so in one of these: torch's and accelerate's launcher, and those of MPI.
SIZES = ("WORLD_SIZE", "PMI_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
T = TypeVar("T")


@cache
def _state() -> Any:
    """accelerate's `PartialState`, or None in a single process."""
    sizes = [int(os.environ[name]) for name in SIZES if name in os.environ]
    if not sizes and "ACCELERATE_MIXED_PRECISION" in os.environ and "MASTER_ADDR" in os.environ:
        raise SpecError(
            "accelerate was asked for several processes and started one; "
            "give it --multi_gpu as well (on CPUs too): accelerate launch --multi_gpu --num_processes 2 ..."
        )
    if max(sizes, default=1) == 1:
        return None
    try:
        from accelerate import PartialState
    except ImportError:
        raise MissingDependencyError(
            "training in several processes needs accelerate; install it with: pip install 'vgps[train]'"
        ) from None
    return PartialState(cpu=not torch.cuda.is_available())


def processes() -> int:
    state = _state()
    return 1 if state is None else state.num_processes


def place() -> tuple[int, int]:
    """Which of how many processes this is."""
    state = _state()
    return (0, 1) if state is None else (state.process_index, state.num_processes)


def leads() -> bool:
    """Whether this process writes files and logs."""
    state = _state()
    return state is None or state.is_main_process


def device() -> torch.device:
    """Where this process computes: its own GPU, or the CPU."""
    state = _state()
    if state is not None:
        return state.device
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def share(batch: T) -> T:
    """This process's rows of a batch: an array, a tensor, or a dataclass of them, each shared along its first axis."""
    state = _state()
    if state is None:
        return batch
    if is_dataclass(batch) and not isinstance(batch, type):
        return replace(batch, **{f.name: share(getattr(batch, f.name)) for f in fields(batch)})
    rows: Any = batch
    size, rest = divmod(len(rows), state.num_processes)
    if rest:
        raise SpecError(
            f"{len(rows)} rows cannot be shared by {state.num_processes} processes; "
            f"give a batch (and a wrong batch) that is a multiple of {state.num_processes}"
        )
    return rows[size * state.process_index : size * (state.process_index + 1)]


def shared_draws() -> AbstractContextManager[Any]:
    """Within it, numbers drawn for this process's rows are those that one process would draw for them.

    Meant for losses that draw noise: their first axis is that of the batch.
    """
    state = _state()
    return nullcontext() if state is None else _SharedDraws(state.num_processes, state.process_index)


class _SharedDraws(TorchFunctionMode):
    """Draws for all rows and keeps those of one process."""

    def __init__(self, processes: int, index: int) -> None:
        super().__init__()
        self.processes, self.index = processes, index

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        if kwargs.get("generator") is None:
            return func(*args, **kwargs)
        if func not in (torch.rand, torch.randn):
            raise SpecError(f"a loss may draw by torch.rand and torch.randn when it is shared, not by {func}")
        size, *shape = args[0] if isinstance(args[0], (tuple, list)) else args
        drawn = func(size * self.processes, *shape, **kwargs)
        return drawn[size * self.index : size * (self.index + 1)]


@torch.no_grad()
def average_gradients(parameters: Iterable[nn.Parameter]) -> None:
    """The mean over all processes' gradients, which is the gradient of the whole batch; call it after `backward`."""
    if _state() is None:
        return
    gradients = [p.grad for p in parameters if p.grad is not None]
    whole = _mean(torch.cat([g.flatten() for g in gradients]))
    for gradient, part in zip(gradients, whole.split([g.numel() for g in gradients]), strict=True):
        gradient.copy_(part.view_as(gradient))


def average_numbers(numbers: Mapping[str, Tensor]) -> dict[str, float]:
    """Means over all processes, for the log."""
    if _state() is None:
        return {name: float(value) for name, value in numbers.items()}
    values = _mean(torch.stack([value.detach().float() for value in numbers.values()]))
    return dict(zip(numbers, values.tolist(), strict=True))


def _mean(values: Tensor) -> Tensor:
    """Over all processes; on the device that they talk from."""
    from accelerate.utils import reduce

    state = _state()
    return reduce(values.to(state.device), reduction="mean")  # type: ignore[return-value]
