"""What goal and baseline are told as: templates that a task fills in.

{task} is the instruction as it stands. {thing}, {link} and {target} are read out of instructions such as "put
the spoon on the towel"; a template that needs them is left out for a task that does not have them.
"""

from __future__ import annotations

import re
import string
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vgps_models.errors import DataError

FIELDS = ("task", "thing", "link", "target")
GENERIC = "a robot arm and objects on a table"
_MOVED = re.compile(
    r"\bthe (?P<thing>[^,]+?) (?:and (?:put|place|lay|set|drop|stack) it )?(?:down |over )?"
    r"(?P<link>on top of|inside of|onto|into|inside|upon|within|on|in) the (?P<target>[^,.]+)"
)


@dataclass(frozen=True)
class Prompts:
    """Templates of the goal, of the state before, and what is said of the latter when no template fits."""

    goals: tuple[str, ...]
    baselines: tuple[str, ...]
    otherwise: str = GENERIC

    def __post_init__(self) -> None:
        if not self.goals or not self.baselines:
            raise DataError("VLM-RM needs a goal and a baseline in words, one template of each at least")
        for template in (*self.goals, *self.baselines):
            _fields(template)

    def of(self, task: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """(goals, baselines) of a task, in words."""
        parts = understood(task)
        return _filled(self.goals, parts) or (task,), _filled(self.baselines, parts) or (self.otherwise,)


def understood(task: str) -> Mapping[str, str]:
    """What the templates can be filled with."""
    words = " ".join(task.split()).rstrip(" .!")
    found = _MOVED.search(words.lower())
    return {"task": words} | (found.groupdict() if found else {})


def _filled(templates: Sequence[str], parts: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(t.format(**parts) for t in templates if _fields(t) <= set(parts)))


def _fields(template: str) -> set[str]:
    try:
        named = {name for _, name, _, _ in string.Formatter().parse(template) if name is not None}
    except ValueError as error:
        raise DataError(f"the template '{template}' cannot be read: {error}") from None
    if unknown := named - set(FIELDS):
        told = ", ".join(f"{{{name}}}" for name in FIELDS)
        raise DataError(f"the template '{template}' asks for {sorted(unknown)}; a task has {told}")
    return named
