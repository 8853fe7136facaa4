"""Ctrl-C, SIGTERM and a closed terminal during long work: what is under way is finished first, then it is saved.

A first signal inside `deferred` is only noted; the work looks at `asked` where it can stop. A second one ends it at
once by KeyboardInterrupt. Everywhere else every signal does.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType
from typing import Any

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
SAME = 0.3  # [s] within which a second signal is the same one: a terminal and a launcher often send it both
NOTICE = "\nstopping after the update under way; once more leaves at once\n"
_DEFAULTS = (signal.SIG_DFL, signal.default_int_handler)


class Interrupted(KeyboardInterrupt):
    """KeyboardInterrupt whose message says what was kept and how to go on."""


class Stop:
    """asked: whether a signal came."""

    def __init__(self, same: float = SAME) -> None:
        self.asked = False
        self._same, self._first = same, 0.0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if not self.asked:
            self.asked, self._first = True, now
            with suppress(OSError):  # a closed terminal
                os.write(2, NOTICE.encode())  # print could be under way
        elif now - self._first > self._same:
            raise KeyboardInterrupt


@contextmanager
def deferred(same: float = SAME) -> Iterator[Stop]:
    """Note the first signal instead of ending at once. A handler of the program's own, and one that ignores, stays."""
    stop = Stop(same)
    with _handling({number: stop for number in SIGNALS if signal.getsignal(number) in _DEFAULTS}):
        yield stop


@contextmanager
def ending() -> Iterator[None]:
    """End by KeyboardInterrupt on SIGTERM and on a closed terminal too, not only on Ctrl-C.

    Also where SIGINT is ignored, as it is in a job that a script runs in the background. nohup still works.
    """
    chosen = [n for n in SIGNALS if n != signal.SIGHUP or signal.getsignal(n) != signal.SIG_IGN]
    with _handling(dict.fromkeys(chosen, signal.default_int_handler)):
        yield


@contextmanager
def saying(text: str) -> Iterator[None]:
    """An interrupt inside gets this message, unless it has one of its own."""
    try:
        yield
    except Interrupted:
        raise
    except KeyboardInterrupt:
        raise Interrupted(text) from None


@contextmanager
def shielded() -> Iterator[None]:
    """Processes that are started inside never get a SIGINT: Ctrl-C reaches all of them, and is the parent's to heed."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _handling(handlers: dict[signal.Signals, Any]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():  # only that one may, and only it is interrupted
        handlers = {}
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            if handler is not None:  # None: it is not Python's, and cannot be put back
                signal.signal(number, handler)
