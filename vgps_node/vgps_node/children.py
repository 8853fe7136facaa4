"""What a supervised process and its supervisor agree on. Knows no ROS."""

from __future__ import annotations

import ctypes
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from typing import NoReturn

READY_FD = "VGPS_READY_FD"  # file descriptor on which a child writes one byte when it is ready
PARENT_PID = "VGPS_PARENT_PID"  # process whose death ends the child
PR_SET_PDEATHSIG = 1  # <linux/prctl.h>
LOOK = 0.1  # [s] between two looks at who the parent is
GRACE = 2.0  # [s] between the supervisor's death and the end of a child that was ready and did not heed SIGTERM

_ready = threading.Event()
_watching = threading.Event()


def tell_ready() -> None:
    """Tell the supervisor, if there is one, that this process takes messages."""
    _ready.set()
    if (fd := os.environ.pop(READY_FD, None)) is not None:
        with suppress(OSError):
            os.write(int(fd), b"1")
            os.close(int(fd))


def leave(code: int) -> NoReturn:
    """End this process, everything of ours being closed: taking torch apart can last seconds on a busy machine."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def end_within(seconds: float) -> None:
    """Let the kernel end this process unless it has ended by itself in time.

    For what hangs while it holds the interpreter's lock (Fast DDS 2.14 does so now and then when it closes): no Python
    code runs then, neither a thread nor a signal handler, so the alarm keeps its default action.
    """
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds)


def die_with_parent() -> None:
    """Be terminated when the supervisor dies, even by SIGKILL (Linux).

    The kernel's SIGTERM comes first and lets a node close in order. It watches the THREAD that started this
    process, so a supervisor starts its children from a thread that lives as long as they shall; and a signal
    that arrives while handlers are being exchanged is lost. So a thread watches the supervisor itself. It ends a
    process that is not ready at once, for it has nothing to close, and any other one `GRACE` later. A second call
    does nothing.
    """
    parent = os.environ.get(PARENT_PID)
    if parent is None or _watching.is_set() or not sys.platform.startswith("linux"):
        return
    _watching.set()
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(parent):  # it died before we asked
        raise SystemExit(0)
    threading.Thread(target=_leave_after, args=(int(parent),), name="die-with-parent", daemon=True).start()


def _leave_after(parent: int) -> None:
    """End this process after its parent: at once until it is ready, then `GRACE` later."""
    while os.getppid() == parent:
        time.sleep(LOOK)
    if _ready.is_set():
        time.sleep(GRACE)
    leave(0)
