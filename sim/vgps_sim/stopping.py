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


class Stop:
    """What asked to stop. number: of the first signal, None before."""

    number: int | None = None

    @property
    def exit_code(self) -> int:
        """As shells report a process that a signal ended: 130 for SIGINT, 143 for SIGTERM."""
        return 128 + (self.number or 0)


@contextmanager
def stoppable() -> Iterator[Stop]:
    """Inside, the first SIGINT or SIGTERM raises `Stopped`, and later ones are ignored while results are written.

    CI systems send one or both and kill the process about ten seconds later. A second Ctrl-C still raises
    KeyboardInterrupt. Outside the main thread, where Python takes no signals, nothing changes.
    """
    stop = Stop()

    def handle(number: int, _: FrameType | None) -> None:
        if stop.number is None:
            stop.number = number
            raise Stopped(number)
        if number == signal.SIGINT and stop.number == signal.SIGINT:
            raise KeyboardInterrupt

    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, handle) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            # None: a handler that was not set from Python, which cannot be set again.
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
