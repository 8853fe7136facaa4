"""End a long command by Ctrl-C or SIGTERM in a way that leaves time to write down what was done."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


class Stopped(KeyboardInterrupt):
    """A signal asked this process to end. Raised once, in the main thread, wherever that was."""

    def __init__(self, number: int) -> None:
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.exit_code = 128 + number  # as shells report a process that a signal ended


class Stop:
    """What asked to stop.

    number: of the first signal; None before. exit_code: 0, or 130 after SIGINT and 143 after SIGTERM.
    """

    def __init__(self) -> None:
        self.number: int | None = None
        self._held = False

    @property
    def exit_code(self) -> int:
        return 0 if self.number is None else 128 + self.number

    @contextmanager
    def held_back(self) -> Iterator[None]:
        """Inside, a first signal is noted and raises nothing: what is being written is written to its end."""
        self._held = True
        try:
            yield
        finally:
            self._held = False

    def handle(self, number: int, _: FrameType | None) -> None:
        again, self.number = self.number is not None, self.number or number
        if again and number == signal.SIGINT:
            raise KeyboardInterrupt
        if not again and not self._held:
            raise Stopped(number)


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Inside, the first SIGINT or SIGTERM raises `Stopped`; what comes later is ignored while results are written.

    CI systems send one or both, and kill the process some ten seconds later. A second Ctrl-C raises KeyboardInterrupt.
    Outside the main thread, where Python takes no signals, nothing changes.
    """
    stop = Stop()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop.handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            # None: a handler that was not set from Python, and cannot be set again.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
