"""One base error: what was wrong, what would be right, and what to do."""

from __future__ import annotations

from collections.abc import Iterable


class VgpsError(Exception):
    """Base of every error this project raises on purpose."""


class SpecError(VgpsError):
    """Two sides disagree about actions, observations or a normaliser."""


class UnknownNameError(VgpsError):
    """A name that is not in a registry; the message lists the valid ones."""

    def __init__(self, kind: str, name: str, valid: Iterable[str]) -> None:
        super().__init__(f"unknown {kind} '{name}'; choose one of: {', '.join(sorted(valid))}")
        self.kind, self.name, self.valid = kind, name, tuple(sorted(valid))


class DataError(VgpsError):
    """A file or data set that cannot be read; the message names it and the mend."""


class MissingDependencyError(VgpsError):
    """Something this machine lacks; the message says what to install."""


class UsageError(VgpsError):
    """A command that cannot be carried out as it was typed; the message says how to type it. Exit code 2."""
