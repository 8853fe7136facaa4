"""One resumable training loop for all trainers.

Everything random in a step is drawn from generators seeded by (seed, step), so
a run that was interrupted and resumed ends with the same weights as one that
was not, and no generator state needs saving.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol, TextIO

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from vgps_models.errors import VgpsError
from vgps_models.training import parallel


class DivergedError(VgpsError):
    """A loss that is no longer a number."""


class Trainable(Protocol):
    """What the loop drives. `modules` holds everything with weights: networks, averages, targets."""

    @property
    def modules(self) -> Mapping[str, nn.Module]: ...

    @property
    def optimiser(self) -> torch.optim.Optimizer: ...

    def step(self, step: int) -> Mapping[str, Tensor]:
        """One update; returns numbers for the log, "loss" among them."""
        ...


def run(
    trainable: Trainable,
    *,
    title: str,
    steps: int,
    out: Path,
    fingerprint: str,
    save_every: int = 500,
    save_minutes: float = math.inf,
    log_every: int = 50,
    stop_after: int | None = None,
) -> tuple[int, dict[str, float]]:
    """Train up to `steps`, from where an interrupted run with the same fingerprint stopped.

    out: path of the checkpoint to come; `<out>.resume.safetensors` and `<out>.log.jsonl` lie beside it.
    save_every, save_minutes: steps, and minutes, after which at the latest the state is saved.
    stop_after: leave after this many steps of this call, as if interrupted; for tests and for time limits.
    Returns the step reached and the last logged numbers. The resume file stays until `finish`.
    Of several processes (see `parallel`) all must call it; the leader alone writes.
    """
    leads = parallel.leads()
    out.parent.mkdir(parents=True, exist_ok=True)
    resume, log = _resume_path(out), out.with_suffix(".log.jsonl") if leads else Path(os.devnull)
    console = Console(stderr=True, quiet=not leads)
    first = load_state(trainable, resume, fingerprint)
    if first:
        console.print(f"{title}: resumed at step {first} of {steps}")
    elif resume.exists():
        console.print(f"{title}: {resume.name} is of other settings or unreadable; starting afresh")
    last = steps if stop_after is None else min(steps, first + stop_after)
    numbers: dict[str, float] = {}
    columns = (
        TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
        TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.fields[numbers]}"),
    )  # fmt: skip
    step = first
    began = saved = time.perf_counter()
    with Progress(*columns, console=console, refresh_per_second=2) as bar, _log(log, first) as lines:
        task = bar.add_task(title, total=steps, completed=first, numbers="")
        try:
            for step in range(first, last):
                logged = trainable.step(step)
                if step % log_every == 0 or step == last - 1:
                    numbers = parallel.average_numbers(logged)
                    if not math.isfinite(numbers["loss"]):
                        raise DivergedError(f"{title}: the loss is {numbers['loss']} at step {step}; lower the rate")
                    seconds = time.perf_counter() - began
                    lines.write(json.dumps({"step": step, "seconds": round(seconds, 2)} | numbers) + "\n")
                    lines.flush()
                    bar.update(task, completed=step + 1, numbers="  ".join(f"{k} {v:.3g}" for k, v in numbers.items()))
                due = (step + 1) % save_every == 0 or time.perf_counter() - saved > 60 * save_minutes
                if leads and due and step + 1 < last:
                    save_state(trainable, resume, fingerprint, step + 1)
                    saved = time.perf_counter()
        except KeyboardInterrupt:
            # The step under way may be half applied: what was saved last is what counts.
            console.print(f"{title}: interrupted; run the same command again to resume from {resume.name}")
            raise
    if leads and last > first:
        save_state(trainable, resume, fingerprint, last)
    return last, numbers


def finish(out: Path) -> None:
    """Remove the resume file once the checkpoint is written."""
    _resume_path(out).unlink(missing_ok=True)


def cosine(step: int, steps: int, *, warmup: int = 100, floor: float = 0.01) -> float:
    """Factor of the learning rate: linear warm-up, then half a cosine down to `floor`."""
    if step < warmup:
        return (step + 1) / warmup
    done = (step - warmup) / max(1, steps - warmup)
    return floor + (1 - floor) * 0.5 * (1 + math.cos(math.pi * min(1.0, done)))


def generators(seed: int, step: int) -> tuple[np.random.Generator, torch.Generator]:
    """Everything random in one step."""
    numpy_generator = np.random.Generator(np.random.PCG64([seed, step]))
    return numpy_generator, torch.Generator().manual_seed(int(numpy_generator.integers(2**62)))


def epoch_indices(seed: int, step: int, batch: int, count: int) -> np.ndarray:
    """Rows of one step when every row is seen once an epoch. Shape (min(batch, count),)."""
    batch = min(batch, count)
    epoch, at = divmod(step, count // batch)
    order = np.random.Generator(np.random.PCG64([seed, epoch, 1])).permutation(count)
    return order[at * batch : (at + 1) * batch]


def set_rate(optimiser: torch.optim.Optimizer, rate: float) -> None:
    """Of every parameter group; one with a "share" gets that share of it."""
    for group in optimiser.param_groups:
        group["lr"] = rate * group.get("share", 1.0)


def descend(
    optimiser: torch.optim.Optimizer, parameters: Sequence[nn.Parameter], loss: Tensor, *, rate: float, clip: float
) -> None:
    """One update by the gradient of the whole batch, over all processes. clip: its largest norm."""
    set_rate(optimiser, rate)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    parallel.average_gradients(parameters)
    nn.utils.clip_grad_norm_(parameters, clip)
    optimiser.step()


@torch.no_grad()
def average(mean: nn.Module, net: nn.Module, step: int, decay: float) -> None:
    """Exponential moving average of the weights, quicker at first. Buffers are copied."""
    rate = 1 - min(decay, (1 + step) / (10 + step))
    torch._foreach_lerp_(list(mean.parameters()), list(net.parameters()), rate)
    for mine, theirs in zip(mean.buffers(), net.buffers(), strict=True):
        mine.copy_(theirs)


def save_state(trainable: Trainable, path: Path, fingerprint: str, step: int) -> None:
    """Weights and optimiser in one safetensors file, written whole or not at all."""
    tensors: dict[str, Tensor] = {}
    for name, module in trainable.modules.items():
        tensors |= {f"module.{name}.{k}": v.detach().contiguous().clone() for k, v in module.state_dict().items()}
    for i, state in trainable.optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{i}.{k}": torch.as_tensor(v).contiguous().clone() for k, v in state.items()}
    partial = path.with_suffix(f".{os.getpid()}.partial")
    save_file(tensors, partial, metadata={"step": str(step), "fingerprint": fingerprint})
    partial.replace(path)


def load_state(trainable: Trainable, path: Path, fingerprint: str) -> int:
    """The step to go on from; 0, and nothing changed, when there is nothing to resume."""
    try:
        with safe_open(path, framework="pt") as file:
            told = file.metadata() or {}
            if told.get("fingerprint") != fingerprint:
                return 0
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError):
        return 0
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
    return int(told["step"])


def _log(path: Path, first: int) -> TextIO:
    """The log, to be gone on with. What a killed run said of steps after its last saved state is said again."""
    if not first or not path.is_file():
        return path.open("w", encoding="utf-8")
    kept: list[str] = []
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True):
        try:
            if json.loads(line)["step"] < first:
                kept.append(line)
        except (ValueError, LookupError, TypeError):
            pass  # half a line: it was killed while it wrote
    partial = path.with_suffix(f".{os.getpid()}.partial")
    partial.write_text("".join(kept), encoding="utf-8")
    partial.replace(path)
    return path.open("a", encoding="utf-8")


def _resume_path(out: Path) -> Path:
    return out.with_suffix(".resume.safetensors")
