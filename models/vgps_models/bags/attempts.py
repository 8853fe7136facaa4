"""A bag cut into attempts at a task: when each camera saw something, what was to be done, and the pictures themselves.

Topics are known by the types of their messages, whatever their names and namespaces. Attempts begin where a task state
of ours (vgps_msgs/msg/TaskState) counts another episode; a bag without one is a single attempt. Where time goes back an
attempt ends too.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from vgps_models.bags.clock import Written, time_line
from vgps_models.bags.paths import BagFiles, find_bags
from vgps_models.bags.pictures import COLOR, COMPRESSED, DEPTH, GRAY, RAW, UNREAD, Kind, kind_of, pixels
from vgps_models.bags.reader import messages
from vgps_models.bags.records import Message
from vgps_models.bags.types import decode
from vgps_models.contract import Contract
from vgps_models.errors import DataError
from vgps_models.spaces import Image

BEFORE = -1  # the episode of what was seen before any task state, or without one
TRIES = 5  # pictures that may be damaged before a topic counts as unreadable
LISTED = 8  # topics that are named where a bag shows nothing


@dataclass
class Camera:
    """What one topic showed. kind: color or gray. times [ns], rising. found: (stamp, log time) of every picture, by
    which it is found again."""

    topic: str
    kind: str
    times: list[int] = field(default_factory=list)
    found: list[tuple[int, int]] = field(default_factory=list)


@dataclass
class Attempt:
    """A stretch of a bag; plain data. success: None where nothing says it. cameras: by the names of the contract,
    else by topic."""

    name: str
    bag: BagFiles
    episode: int
    part: int = 0
    task: str = ""
    success: bool | None = None
    cameras: dict[str, Camera] = field(default_factory=dict)

    @property
    def usual(self) -> list[str]:
        """The cameras that are meant when none is named: gray ones only where none is in color, or by the contract."""
        gray = {name for name, camera in self.cameras.items() if camera.kind == GRAY and name == camera.topic}
        return [name for name in self.cameras if name not in gray] or list(self.cameras)


@dataclass(frozen=True)
class _State:
    episode: int
    task: str
    success: bool


class BagIndex:
    """All attempts of one bag, or of a folder of them. Images are not decoded for this.

    problems: what is damaged, and what is left out and why, a sentence each.
    """

    def __init__(self, path: Path) -> None:
        contract = Contract.load()
        self._task_type = contract.task.type
        self._names = {feature.topic: name for name, feature in contract.images.items()}
        self.attempts: list[Attempt] = []
        bags, self.problems = find_bags(path)
        for bag in bags:
            problems: list[str] = []
            self.attempts += _Contents(bag, self._task_type, problems).attempts(self._names)
            self.problems += [f"{bag.name}: {p}" if len(bags) > 1 and str(bag.path) not in p else p for p in problems]


class _Contents:
    """One bag, read once from front to back."""

    def __init__(self, bag: BagFiles, task_type: str, problems: list[str]) -> None:
        self.bag, self.problems = bag, problems
        self._written: dict[str, list[Written]] = {}
        self._states: dict[str, list[_State]] = {}
        self._kinds: dict[str, Kind] = {}
        self._tries: dict[str, int] = {}
        self._others: dict[str, str] = {}
        for order, message in enumerate(messages(bag, problems=problems)):
            topic, kind = message.channel.topic, message.channel.type
            if kind == task_type:
                if (state := self._state(message)) is None:
                    continue
                self._states.setdefault(topic, []).append(state)
            elif kind in (RAW, COMPRESSED):
                self._look_at(message)
            else:
                if topic not in self._others:
                    self._others[topic] = kind
                    if kind in UNREAD:
                        problems.append(
                            f"{topic} is left out: it holds {UNREAD[kind]} ({kind}, {message.channel.encoding}), which "
                            f"cannot be read; {RAW} and {COMPRESSED} can"
                        )
                continue
            self._written.setdefault(topic, []).append(Written(order, message.stamp, message.log))

    def attempts(self, names: Mapping[str, str]) -> list[Attempt]:
        """names: of cameras, by topic."""
        shown = self._shown()
        if not shown and not self._states:
            if not self.problems:
                self.problems.append(f"{self.bag.path} holds no images; {self._topics()}")
            return []
        line = time_line({topic: self._written[topic] for topic in (*shown, *self._states)})
        self.problems += line.notes
        made: dict[tuple[str, int, int], Attempt] = {}

        def attempt_of(task_topic: str, part: int, episode: int) -> Attempt:
            return made.setdefault((task_topic, part, episode), Attempt("", self.bag, episode, part))

        began: dict[tuple[str, int], list[tuple[int, int]]] = {}  # (time, episode) of the states of a part
        for topic, states in self._states.items():
            for moment, state in zip(line.moments[topic], states, strict=True):
                began.setdefault((topic, moment.part), []).append((moment.time, state.episode))
                attempt = attempt_of(topic, moment.part, state.episode)
                attempt.task = attempt.task or state.task
                attempt.success = state.success or bool(attempt.success)
        for states in began.values():
            states.sort()
        called = _named(shown, names)
        if any(kind.name == COLOR for kind in shown.values()):
            self.problems += [
                f"{topic} is gray ({kind.why}) beside cameras in color; name it to use it"
                for topic, kind in shown.items()
                if kind.name == GRAY and called[topic] == topic
            ]
        for topic, name in called.items():
            task_topic = _nearest_name(topic, self._states)
            for moment, written in zip(line.moments[topic], self._written[topic], strict=True):
                # By time and not by order: an episode's first image may come before its first state.
                states = began.get((task_topic, moment.part), [])
                at = bisect_right(states, (moment.time, 1 << 62)) - 1
                attempt = attempt_of(task_topic, moment.part, states[at][1] if at >= 0 else BEFORE)
                camera = attempt.cameras.setdefault(name, Camera(topic, shown[topic].name))
                camera.times.append(moment.time)
                camera.found.append((written.stamp, written.log))
        for (task_topic, part, episode), attempt in made.items():
            words = [f"episode {episode}" if episode != BEFORE else "before the first episode"]
            words = words if len({e for _, _, e in made}) > 1 else []
            words += [f"part {part + 1}"] if line.parts > 1 else []
            words += [f"of {task_topic}"] if len(self._states) > 1 and task_topic else []
            attempt.name = " ".join([self.bag.name, *words])
            for camera in attempt.cameras.values():
                _sort(camera)
        return list(made.values())

    def _state(self, message: Message) -> _State | None:
        """None where the message is not what we write under that name, which is said once."""
        topic = message.channel.topic
        try:
            said = decode(message)
            return _State(int(said.episode), str(said.instruction), bool(said.success))
        except (DataError, AttributeError, TypeError, ValueError) as error:
            if topic not in self._others:
                self._others[topic] = message.channel.type
                self.problems.append(f"{topic} is left out: it is no task state of ours ({error})")
            return None

    def _look_at(self, message: Message) -> None:
        """Of a topic the first picture that can be read says what kind it is."""
        topic = message.channel.topic
        if (known := self._kinds.get(topic)) is not None and (known.name or self._tries[topic] >= TRIES):
            return
        self._tries[topic] = self._tries.get(topic, 0) + 1
        try:
            self._kinds[topic] = kind_of(decode(message), message.channel.type)
        except DataError as error:
            self._kinds[topic] = Kind("", str(error))

    def _shown(self) -> dict[str, Kind]:
        """Topics whose pictures can be shown; why others are left out is said."""
        shown = {topic: kind for topic, kind in self._kinds.items() if kind.name in (COLOR, GRAY)}
        for topic, kind in self._kinds.items():
            if kind.name == DEPTH:
                self.problems.append(f"{topic} is left out: it shows depth, or has 16 bits a pixel ({kind.why})")
            elif not kind.name:
                why = kind.why if topic in kind.why else f"{topic} {kind.why}"
                self.problems.append(f"{why}; it is left out")
            elif (raw := topic.removesuffix("/compressed")) != topic and raw in shown:
                self.problems.append(f"{topic} is left out: {raw} shows the same")
                del shown[topic]
        return shown

    def _topics(self) -> str:
        if not self._others:
            return "no message can be read"
        listed = [f"{topic} ({kind or 'no schema'})" for topic, kind in list(self._others.items())[:LISTED]]
        more = len(self._others) - len(listed)
        return f"its topics are {', '.join(listed)}{f' and {more} more' if more else ''}"


def images(attempt: Attempt, camera: str, times: Sequence[int]) -> Image:
    """The images of these times [ns], a time perhaps more than once. Shape (len(times), h, w, 3) uint8 RGB."""
    found = {time: picture() for time, picture in pictures(attempt, camera, times)}
    if missing := set(times) - set(found):
        raise DataError(f"{attempt.bag.path}: {len(missing)} images of {camera} cannot be read; the bag has changed")
    if len({image.shape for image in found.values()}) > 1:
        raise DataError(f"{attempt.bag.path}: images of {camera} change their size")
    return np.stack([found[t] for t in times])


def pictures(
    attempt: Attempt, camera: str, times: Sequence[int] | None = None
) -> Iterator[tuple[int, Callable[[], Image]]]:
    """(time [ns], what decodes the image) one after the other, in the order of the bag.

    times: of the images that are wanted; all when None. Raises DataError where the bag breaks off before the last.
    """
    seen, name = attempt.cameras[camera], f"{attempt.bag.path} {attempt.cameras[camera].topic}"
    wanted = set(seen.times if times is None else map(int, times))
    where = {found: time for found, time in zip(seen.found, seen.times, strict=True) if time in wanted}
    if not where:
        return
    logs, problems = [log for _, log in where], list[str]()
    for message in messages(attempt.bag, [seen.topic], (min(logs), max(logs) + 1), problems):
        if message.channel.topic == seen.topic and message.channel.type in (RAW, COMPRESSED):
            time = where.pop((message.stamp, message.log), None)
            if time is not None:

                def picture(message: Message = message) -> Image:
                    return _picture(message, name)

                yield time, picture
    if where and problems:
        raise DataError(f"{len(where)} images of {camera} cannot be read: {problems[0]}")


def _picture(message: Message, name: str) -> Image:
    said: Any = decode(message)
    try:
        return pixels(said, message.channel.type, name)
    except (AttributeError, TypeError, ValueError) as error:
        raise DataError(f"{name}: an image is damaged ({error})") from error


def _named(shown: Mapping[str, Kind], names: Mapping[str, str]) -> dict[str, str]:
    """topic -> name of its camera: as the contract calls it, also within a namespace; else the topic."""
    made: dict[str, str] = {}
    for topic in shown:
        raw = topic.removesuffix("/compressed")
        made[topic] = next((name for known, name in names.items() if raw.endswith(known)), topic)
    return {t: name if list(made.values()).count(name) == 1 else t for t, name in made.items()}


def _nearest_name(topic: str, others: Mapping[str, Any]) -> str:
    """Of other topics the one that shares the most of its namespace; empty where there are none."""

    def shared(other: str) -> int:
        pairs = zip(topic.split("/"), other.split("/"), strict=False)
        return next((count for count, (a, b) in enumerate(pairs) if a != b), len(other))

    return max(others, key=shared, default="")


def _sort(camera: Camera) -> None:
    """By time; of pictures of the same time the first."""
    rows = dict[int, tuple[int, int]]()
    for time, found in zip(camera.times, camera.found, strict=True):
        rows.setdefault(time, found)
    camera.times = sorted(rows)
    camera.found = [rows[time] for time in camera.times]
