"""Nested settings as flat names and back: ROS parameters and launch arguments know no nesting. Knows no ROS.

A name is the path of fields, joined by dots: `gvl.chat.model`. Paths travel as words.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from vgps_models.errors import VgpsError

Parameter = bool | int | float | str
T = TypeVar("T")


def flatten(settings: Any, prefix: str = "") -> dict[str, Parameter]:
    """Every number and word of a dataclass of dataclasses, by its flat name."""
    flat: dict[str, Parameter] = {}
    for field in fields(settings):
        name, value = prefix + field.name, getattr(settings, field.name)
        if is_dataclass(value):
            flat |= flatten(value, f"{name}.")
        else:
            flat[name] = str(value) if isinstance(value, Path) else value
    return flat


def changed(settings: T, flat: Mapping[str, Parameter], prefix: str = "") -> T:
    """`settings` with what `flat` names; other names are not looked at. Types are those of `settings`."""
    new: dict[str, Any] = {}
    for field in fields(settings):  # type: ignore[arg-type]
        name, value = prefix + field.name, getattr(settings, field.name)
        if is_dataclass(value):
            new[field.name] = changed(value, flat, f"{name}.")
        elif name in flat:
            new[field.name] = type(value)(flat[name])
    return replace(settings, **new)  # type: ignore[type-var]


def from_words(defaults: Mapping[str, Parameter], words: Mapping[str, str]) -> dict[str, Parameter]:
    """Parameters that were written as words, each of the type of its default. Raises VgpsError that names a bad one."""
    return {name: _typed(name, default, words[name]) for name, default in defaults.items() if name in words}


def _typed(name: str, default: Parameter, word: str) -> Parameter:
    if isinstance(default, bool):
        if word.lower() not in ("true", "false"):
            raise VgpsError(f"{name} is '{word}'; it is true or false")
        return word.lower() == "true"
    try:
        return type(default)(word)
    except ValueError:
        raise VgpsError(f"{name} is '{word}', which is no {type(default).__name__}; its default is {default}") from None
