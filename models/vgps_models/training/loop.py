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
from collections.abc import Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TextIO

import numpy as np
import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor, nn

from vgps_models.training import parallel
from vgps_models.training.course import Course, NotFiniteError, Trainable
from vgps_models.training.lock import alone
from vgps_models.training.provenance import Fingerprint
from vgps_models.training.resume import Resume, files


def run(
    trainable: Trainable,
    *,
    title: str,
    steps: int,
    out: Path,
    fingerprint: Fingerprint,
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

    An update whose gradient is not finite is left out. Raises DivergedError after `BAD_UPDATES` of them in a row, and
    when the loss or the weights are not finite: the last finite state is kept, and the training goes on from it when
    its rate or bf16 is changed. Raises Interrupted on Ctrl-C or SIGTERM, once the update under way is done and saved,
    and TrainingBusyError when another process trains the same checkpoint.
    """
    leads = parallel.leads()
    out.parent.mkdir(parents=True, exist_ok=True)
    resume, log = Resume(out, fingerprint), out.with_suffix(".log.jsonl") if leads else Path(os.devnull)
    with alone(out) if leads else nullcontext():
        console = Console(emoji=False, stderr=True, quiet=not leads)
        first = resume.load(trainable)
        if first:
            console.print(f"{title}: resumed at step {first} of {steps}", soft_wrap=True)
        elif resume.state.exists():
            aside = resume.set_aside("other") if leads else resume.state
            unfit = (
                f"{title}: {resume.state.name} is of other settings or unreadable, and was renamed to {aside.name}; "
                "starting afresh. To go on with it: stop, rename it back, and give its settings"
            )
            console.print(unfit, soft_wrap=True)
        last = steps if stop_after is None else min(steps, first + stop_after)
        course = Course(title, steps, trainable, resume, first)
        numbers: dict[str, float] = {}
        columns = (
            TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(),
            TimeElapsedColumn(), TimeRemainingColumn(), TextColumn("{task.fields[numbers]}"),
        )  # fmt: skip
        began = time.perf_counter()
        with Progress(*columns, console=console, refresh_per_second=2) as bar, _log(log, first) as lines:
            task = bar.add_task(title, total=steps, completed=first, numbers="")
            with course.interruptible():
                for step in range(first, last):
                    logged = course.update(step)
                    if logged is not None and (step % log_every == 0 or step == last - 1):
                        numbers = parallel.average_numbers(logged)
                        if not math.isfinite(numbers["loss"]):
                            course.diverge(step, f"the loss is {numbers['loss']}")
                        seconds = time.perf_counter() - began
                        lines.write(json.dumps({"step": step, "seconds": round(seconds, 2)} | numbers) + "\n")
                        lines.flush()
                        bar.update(
                            task, completed=step + 1, numbers="  ".join(f"{k} {v:.3g}" for k, v in numbers.items())
                        )
                    if course.due(step, save_every, save_minutes):
                        course.save(step + 1)
                if last > first:
                    course.save(last)
        return last, numbers


def finish(out: Path) -> None:
    """Remove what is there to resume from, once the checkpoint is written."""
    for path in files(out):
        path.unlink(missing_ok=True)


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
    """One update by the gradient of the whole batch, over all processes. clip: its largest norm.

    NotFiniteError when the gradient is not finite; then nothing is changed.
    """
    set_rate(optimiser, rate)
    optimiser.zero_grad(set_to_none=True)
    loss.backward()
    apply_gradients(optimiser, parameters, clip=clip)


def apply_gradients(optimiser: torch.optim.Optimizer, parameters: Sequence[nn.Parameter], *, clip: float) -> None:
    """The update by the gradients that are there, averaged over all processes; see `descend`."""
    parallel.average_gradients(parameters)
    norm = nn.utils.clip_grad_norm_(parameters, clip)
    if not norm.isfinite():  # on a GPU this waits for the gradients; batches are made on the CPU before
        raise NotFiniteError(f"the gradient's norm is {float(norm)}")
    optimiser.step()


@torch.no_grad()
def average(mean: nn.Module, net: nn.Module, step: int, decay: float) -> None:
    """Exponential moving average of the weights, quicker at first. Buffers are copied."""
    rate = 1 - min(decay, (1 + step) / (10 + step))
    torch._foreach_lerp_(list(mean.parameters()), list(net.parameters()), rate)
    for mine, theirs in zip(mean.buffers(), net.buffers(), strict=True):
        mine.copy_(theirs)


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
