"""Settings as flat parameters and back: ROS parameters and launch arguments know no nesting. Knows no ROS.

A name is the path of fields, joined by dots: `gvl.chat.model`. Paths travel as words. A parameter's description is the
comment of its field, its limits are those of its annotation (vgps_models.limits).
"""

from __future__ import annotations

import inspect
import io
import textwrap
import tokenize
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from vgps_models.errors import VgpsError
from vgps_models.limits import Limit, OneOf, check_limit, limits_of

Parameter = bool | int | float | str
T = TypeVar("T")


@dataclass(frozen=True)
class ParameterSpec:
    """One parameter: its default, what it means, and what it may be."""

    default: Parameter
    description: str
    limit: Limit | None = None

    @property
    def choices(self) -> tuple[str, ...]:
        return self.limit.names if isinstance(self.limit, OneOf) else ()

    def check(self, name: str, value: Any) -> Parameter:
        """The value in the type of the default: whole numbers pass for floats. Raises VgpsError that names it."""
        wanted = type(self.default)
        whole = isinstance(value, int) and not isinstance(value, bool)
        if wanted is float and whole:
            value = float(value)
        if type(value) is not wanted or value != value:  # NaN is no value of a setting
            raise VgpsError(f"{name} is {value!r}; it must be a {NOUNS[wanted]}, as its default {self.default!r}")
        if self.limit is not None:
            check_limit(name, value, self.limit)
        return value

    def parse(self, name: str, word: str) -> Parameter:
        """The value that was written as a word. Raises VgpsError that names it."""
        wanted, value = type(self.default), word
        try:
            if wanted is bool:
                value = {"true": True, "false": False}[word.lower()]
            elif wanted is not str:
                value = wanted(word)
        except (KeyError, ValueError):
            raise VgpsError(
                f"{name} is '{word}'; it must be a {NOUNS[wanted]}, as its default {self.default}"
            ) from None
        return self.check(name, value)


NOUNS = {bool: "bool (true or false)", int: "whole number", float: "number", str: "word"}


def specs(settings: Any, prefix: str = "") -> dict[str, ParameterSpec]:
    """Every number and word of a dataclass of dataclasses, by its flat name."""
    found: dict[str, ParameterSpec] = {}
    comments, limits = field_comments(type(settings)), limits_of(type(settings))
    for field in fields(settings):
        name, value = prefix + field.name, getattr(settings, field.name)
        if is_dataclass(value):
            found |= specs(value, f"{name}.")
        else:
            value = str(value) if isinstance(value, Path) else value
            found[name] = ParameterSpec(value, comments.get(field.name, ""), limits.get(field.name))
    return found


def flatten(settings: Any, prefix: str = "") -> dict[str, Parameter]:
    """The values alone."""
    return {name: spec.default for name, spec in specs(settings, prefix).items()}


def changed(settings: T, flat: Mapping[str, Parameter], prefix: str = "") -> T:
    """`settings` with the values that `flat` names; other names are ignored. Types are those of `settings`."""
    new: dict[str, Any] = {}
    for field in fields(settings):  # type: ignore[arg-type]
        name, value = prefix + field.name, getattr(settings, field.name)
        if is_dataclass(value):
            new[field.name] = changed(value, flat, f"{name}.")
        elif name in flat:
            new[field.name] = type(value)(flat[name])
    return replace(settings, **new)  # type: ignore[type-var]


@lru_cache(maxsize=64)
def field_comments(settings: type) -> dict[str, str]:
    """The comment of each field of a dataclass and its bases: at the end of its line, or on the lines above it."""
    found: dict[str, str] = {}
    for base in reversed(settings.__mro__):
        if is_dataclass(base):
            try:
                found |= _comments(inspect.getsource(base))
            except OSError:  # installed without its source
                continue
    return found


def _comments(source: str) -> dict[str, str]:
    found, above, name = {}, list[str](), ""
    for token in tokenize.generate_tokens(io.StringIO(textwrap.dedent(source)).readline):
        text = token.string.removeprefix("#").strip()
        if token.type == tokenize.COMMENT and not name:
            above.append(text)
        elif token.type == tokenize.COMMENT:
            found[name] = " ".join([*([found[name]] if name in found else []), text])
        elif token.type == tokenize.NAME and token.start[1] == 4 and not name:
            name = token.string
            if above:
                found[name] = " ".join(above)
        elif token.type == tokenize.NEWLINE:
            above, name = [], ""
    return found
