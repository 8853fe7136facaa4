"""A ROS domain that no other graph of this machine uses, for as long as we hold it."""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vgps_models.errors import VgpsError

DOMAINS = range(1, 102)  # of these every participant's ports lie below the ephemeral ones on Linux


@contextmanager
def own_domain() -> Iterator[int]:
    """A free domain, locked. Never ROS_DOMAIN_ID: the graph that the user works with is there."""
    offset = os.getpid() % len(DOMAINS)  # so that two that start at once do not try the same ones
    for domain in (*DOMAINS[offset:], *DOMAINS[:offset]):
        if str(domain) == os.environ.get("ROS_DOMAIN_ID"):
            continue
        path = Path(tempfile.gettempdir()) / f"vgps-domain-{domain}.lock"
        try:
            lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except PermissionError:  # another user's
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            continue
        try:
            yield domain
        finally:
            os.close(lock)  # the file stays: taking it away would race with whoever opens it now
        return
    raise VgpsError("every ROS domain from 1 to 101 is in use; stop a graph first")
