"""One training a checkpoint: two that write the same files would each lose what the other learned."""

from __future__ import annotations

import fcntl
import hashlib
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vgps_models.errors import VgpsError


class TrainingBusyError(VgpsError):
    """Another process trains the same checkpoint."""


@contextmanager
def alone(out: Path) -> Iterator[None]:
    """Hold a lock on the checkpoint to come. The kernel releases it when the process ends, however it ends.

    The file of the lock is in the temporary folder, so that nothing is left beside the checkpoint.
    Raises TrainingBusyError when another process of this machine holds it.
    """
    name = hashlib.sha256(str(out.resolve()).encode()).hexdigest()[:16]
    path = Path(tempfile.gettempdir()) / f"vgps-training-{os.getuid()}-{name}.lock"
    with path.open("a+", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            lock.seek(0)
            raise TrainingBusyError(
                f"another training (process {lock.read().strip() or 'unknown'}) writes {out}; wait for it, stop it, or "
                "give another --out"
            ) from None
        lock.truncate(0)
        lock.write(str(os.getpid()))
        lock.flush()
        yield
