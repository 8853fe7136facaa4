"""ROS domains of this machine: a free one for an evaluation, and each node at most once in any of them. Knows no ROS.

Locks on files in the temporary folder say who is where; the kernel releases them when a process ends, however it ends.
"""

from __future__ import annotations

import fcntl
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from vgps_models.errors import VgpsError
from vgps_node.ros_problems import LAST_DOMAIN

DOMAINS = range(1, 102)  # of these every participant's ports lie below the ephemeral ones on Linux


class DomainError(VgpsError):
    """A ROS domain that another graph of this machine uses."""


def current_domain() -> int:
    """ROS_DOMAIN_ID, 0 when it is not set. Raises DomainError when it is no domain."""
    text = os.environ.get("ROS_DOMAIN_ID", "").strip() or "0"
    if not text.isdecimal() or int(text) > LAST_DOMAIN:
        raise DomainError(f"ROS_DOMAIN_ID is '{text}'; it must be a whole number from 0 to {LAST_DOMAIN}, best to 101")
    return int(text)


def claim_node(domain: int, node: str) -> int:
    """Reserve a node's full name in a domain for this process; the file descriptor that holds the reservation.

    Raises DomainError when another process of this machine runs a node of that name there.
    """
    path = _node_file(domain, node)
    lock = _lock(path)
    if lock is None:
        raise DomainError(
            f"another process ({_owner(path)}) runs {node} in ROS domain {domain}. Stop that graph (Ctrl-C in its "
            "terminal), or give this one a domain of its own: export ROS_DOMAIN_ID=1"
        )
    with suppress(OSError):  # a file of another user can be locked but not written
        os.ftruncate(lock, 0)
        os.write(lock, str(os.getpid()).encode())
    return lock


def require_free(domain: int, nodes: Iterator[str] | list[str]) -> None:
    """Raise DomainError when one of these nodes runs in the domain already."""
    for node in nodes:
        os.close(claim_node(domain, node))


@contextmanager
def own_domain() -> Iterator[int]:
    """A domain without a graph, locked. Never ROS_DOMAIN_ID: the graph that the user works with is there."""
    offset = os.getpid() % len(DOMAINS)  # so that two that start at once do not try the same ones
    for domain in (*DOMAINS[offset:], *DOMAINS[:offset]):
        if str(domain) == os.environ.get("ROS_DOMAIN_ID") or _has_nodes(domain):
            continue
        lock = _lock(_folder() / f"vgps-domain-{domain}.lock")
        if lock is None:
            continue
        try:
            yield domain
        finally:
            os.close(lock)  # the file stays: deleting it would race with a process that opens it now
        return
    raise DomainError("every ROS domain from 1 to 101 is in use; stop a graph first")


def _folder() -> Path:
    return Path(tempfile.gettempdir())


def _node_file(domain: int, node: str) -> Path:
    return _folder() / f"vgps-domain-{domain}{node.replace('/', '.')}.lock"


def busy_domains() -> set[int]:
    """Domains in which nodes of VGPS run on this machine."""
    found = set()
    for path in _folder().glob("vgps-domain-*.?*.lock"):
        domain = path.name.removeprefix("vgps-domain-").partition(".")[0]
        if domain.isdecimal() and int(domain) not in found and _is_held(path):
            found.add(int(domain))
    return found


def nodes_here(domain: int) -> list[str]:
    """Names, without namespace, of the nodes of VGPS that run on this machine in a domain."""
    held = (path for path in _folder().glob(f"vgps-domain-{domain}.?*.lock") if _is_held(path))
    return sorted(path.name.removesuffix(".lock").rpartition(".")[2] for path in held)


def _has_nodes(domain: int) -> bool:
    return any(_is_held(path) for path in _folder().glob(f"vgps-domain-{domain}.?*.lock"))


def _is_held(path: Path) -> bool:
    """Whether a process holds the lock on a file."""
    if (lock := _lock(path)) is None:
        return True
    os.close(lock)
    return False


def _lock(path: Path) -> int | None:
    """A file descriptor that holds the lock on a file; None when another process holds it."""
    try:
        lock = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
    except PermissionError:  # another user's
        try:
            lock = os.open(path, os.O_RDONLY)
        except OSError:
            return None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(lock)
        return None
    return lock


def _owner(path: Path) -> str:
    with suppress(OSError):
        if pid := path.read_text(encoding="utf-8").strip():
            return f"process {pid}"
    return "of another user"
