"""What the fields of a settings dataclass may be, written into their annotations and checked in one place.

    @dataclass(frozen=True)
    class Options:
        k: Annotated[int, Between(1, 1000)] = 10
        clock: Annotated[str, OneOf(("lockstep", "realtime"))] = "lockstep"

        def __post_init__(self) -> None:
            check_limits(self)

Parameters of nodes and arguments of launch files get their ranges and choices from here.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, fields, is_dataclass
from functools import lru_cache
from typing import Any, get_type_hints

from vgps_models.errors import UnknownNameError, VgpsError


@dataclass(frozen=True)
class Between:
    """A number from `low` to `high`, both included. NaN is outside every range."""

    low: float
    high: float = math.inf

    def __str__(self) -> str:
        return f"at least {self.low:g}" if math.isinf(self.high) else f"from {self.low:g} to {self.high:g}"


@dataclass(frozen=True)
class OneOf:
    """One of these names."""

    names: tuple[str, ...]

    def __init__(self, names: Iterable[str]) -> None:
        object.__setattr__(self, "names", tuple(names))

    def __str__(self) -> str:
        return f"one of {', '.join(self.names)}"


Limit = Between | OneOf


@lru_cache(maxsize=64)
def limits_of(settings: type) -> dict[str, Limit]:
    """Limits by field name, of a dataclass. A field that is annotated again keeps the limit of its base."""
    found = {}
    for base in filter(is_dataclass, reversed(settings.__mro__)):
        hints = get_type_hints(base, include_extras=True)
        for field in fields(base):
            for mark in getattr(hints[field.name], "__metadata__", ()):
                if isinstance(mark, (Between, OneOf)):
                    found[field.name] = mark
    return found


def check_limit(name: str, value: Any, limit: Limit, error: type[VgpsError] = VgpsError) -> None:
    """Raise when a value is outside: `error` for a number, UnknownNameError for a name."""
    if isinstance(limit, OneOf):
        if value not in limit.names:
            raise UnknownNameError(name, value, limit.names)
    elif not limit.low <= value <= limit.high:
        raise error(f"{name} is {value}; it must be {limit}")


def check_limits(settings: Any, error: type[VgpsError] = VgpsError) -> None:
    """Raise for the first field of a dataclass that is outside its limits."""
    for name, limit in limits_of(type(settings)).items():
        check_limit(name, getattr(settings, name), limit, error)
