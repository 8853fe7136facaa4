"""One run of a training from its first to its last update: bad updates, divergence, saving and interrupts."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NoReturn, Protocol

from torch import Tensor

from vgps_models.errors import VgpsError
from vgps_models.interrupts import SAME, Interrupted, Stop, deferred
from vgps_models.training import parallel
from vgps_models.training.resume import DivergedError, Resume, Stateful, bad_gradient

BAD_UPDATES = 10  # left out in a row before a training counts as diverged: one odd batch ends no training
LAUNCHER = 10.0  # [s] in which a launcher of several processes may send a signal again that the terminal sent too


class NotFiniteError(VgpsError):
    """The gradient of one update is not finite; nothing was changed by it."""


class Trainable(Stateful, Protocol):
    """What the loop drives. `modules` holds everything with weights: networks, averages, targets."""

    def step(self, step: int) -> Mapping[str, Tensor]:
        """One update; returns numbers for the log, "loss" among them. NotFiniteError when it changed nothing."""
        ...


class Course:
    """good: updates up to the last that was applied. saved: updates in the saved state."""

    def __init__(self, title: str, steps: int, trainable: Trainable, resume: Resume, first: int) -> None:
        self.title, self.steps, self.trainable, self.resume = title, steps, trainable, resume
        self.leads = parallel.leads()
        self.first = self.good = self.saved = first
        self._bad, self._saved_at = 0, time.perf_counter()
        self._stop = Stop()

    def update(self, step: int) -> Mapping[str, Tensor] | None:
        """One update; None when its gradient was not finite and it was left out."""
        try:
            logged = self.trainable.step(step)
        except NotFiniteError:
            self._bad += 1
            if self._bad == BAD_UPDATES:
                bad = bad_gradient(self.trainable)
                which = f"the gradient of {bad}" if bad else "the norm of the gradient"
                self.diverge(step, f"{which} is not finite, {BAD_UPDATES} updates in a row")
            logged = None
        except Exception:
            if not self._stop.asked:
                raise
            self._leave()  # the signal has ended a process that this update needs, such as one of a loader
        else:
            self._bad, self.good = 0, step + 1
        if self._stop.asked and self.leads:  # other processes end when the one that saves has left
            self._leave()
        return logged

    def due(self, step: int, save_every: int, save_minutes: float) -> bool:
        """Whether the state is to be saved after this update."""
        waited = time.perf_counter() - self._saved_at
        return not self._bad and ((step + 1) % save_every == 0 or waited > 60 * save_minutes)

    def save(self, step: int) -> None:
        """Keep the state as that of `step` updates."""
        if not self.leads or step == self.saved:
            return
        try:
            self.resume.save(self.trainable, step)
        except DivergedError as error:
            self.diverge(step - 1, str(error))
        self.saved, self._saved_at = step, time.perf_counter()

    def diverge(self, step: int, what: str) -> NoReturn:
        """End the training and remember why, so that the same settings do not run into it again."""
        state, settings = self.resume.state, self.resume.fingerprint.changeable
        begun = f"{self.title} diverged at update {step + 1} of {self.steps}: {what}"
        if self.resume.mended and self.good == self.first:
            aside = self.resume.set_aside("diverged").name if self.leads else state.name
            raise DivergedError(
                f"{begun}; no update succeeds from the state after {self.first} updates, under these settings either. "
                f"It is set aside as {aside}; the same command now starts afresh"
            )
        kept = f"the last finite state, after {self.saved} updates, is kept in {state.name}"
        then = "goes on from there"
        if not self.saved:
            kept, then = "no finite state was saved before", "starts afresh"
        cures = [f"lower --{k.replace('_', '-')} (now {v:g})" for k, v in settings.items() if k != "bf16" and v]
        if settings.get("bf16") == "on":
            cures.append("give --bf16 off")
        cure = f"{' or '.join(cures) or 'change the settings'}; the same command then {then}"
        if self.good == 0:
            cure = f"not one update succeeded: look for values in the data that are not finite, or {cure}"
        message = f"{begun}; {kept}. To go on, {cure}"
        if self.leads:
            self.resume.note(message)
        raise DivergedError(message)

    @contextmanager
    def interruptible(self) -> Iterator[None]:
        """Within it, a first Ctrl-C or SIGTERM stops the training after the update under way, and a second at once."""
        with deferred(SAME if parallel.processes() == 1 else LAUNCHER) as self._stop:
            try:
                yield
            except KeyboardInterrupt:
                raise Interrupted(self._standing()) from None
            except Exception:
                if not self._stop.asked or self.leads:
                    raise
                raise Interrupted(self._standing()) from None  # the process that saves has left already

    def _leave(self) -> NoReturn:
        self.save(self.good)
        raise KeyboardInterrupt

    def _standing(self) -> str:
        where = f"{self.title} interrupted after {self.good} of {self.steps} updates"
        if not self.saved:
            return f"{where}, none of them saved"
        return f"{where}, {'all' if self.saved == self.good else self.saved} saved in {self.resume.state.name}"
