"""A slow estimator is asked in the background: one question at a time, of this episode alone, its answer by moment."""

from __future__ import annotations

import threading
import time
from typing import Any

import numpy as np
import pytest

from vgps_models.errors import VgpsError
from vgps_models.progress import Clip, Estimate
from vgps_node import watching
from vgps_node.moments import Moment, Progress, TaskState
from vgps_node.watching import Watcher

WORDS = "put the spoon on the towel"


class Slow:
    """Answers with the brightness of each frame when it is let."""

    source, threshold = "slow", 0.5

    def __init__(self) -> None:
        self.go, self.clips, self.error = threading.Event(), list[Clip](), ""

    def estimate(self, clip: Clip, context: Any = ()) -> Estimate:
        self.clips.append(clip)
        assert self.go.wait(10)
        if self.error:
            raise VgpsError(self.error)
        values = clip.views["front"].mean(axis=(1, 2, 3)) / 255
        return Estimate(np.where(values > 0.95, np.nan, values), np.full(len(values), 0.1), self.source)


@pytest.fixture
def now() -> list[float]:
    return [0.0]


@pytest.fixture
def watcher(now):
    slow = Slow()
    watcher = Watcher(slow, period=2.0, frames=4, clock=lambda: now[0])
    yield watcher
    slow.go.set()
    watcher.close()


def see(watcher: Watcher, step: int, *, episode: int = 0, done: bool = False, shade: int | None = None) -> None:
    image = np.full((4, 4, 3), 10 * step if shade is None else shade, np.uint8)
    moment = Moment(1000 * (step + 1) + 10**6 * episode, episode, step)
    watcher.see(TaskState(moment, "spoon", WORDS, episode, done=done), {"front": image})


def answer(watcher: Watcher) -> Any:
    deadline = time.monotonic() + 10
    while (said := watcher.poll()) is None:
        assert time.monotonic() < deadline
        time.sleep(0.002)
    return said


def test_one_question_at_a_time_and_the_answer_belongs_to_its_moment(watcher, now):
    for step in range(10):
        see(watcher, step)
    assert watcher.poll() is None
    now[0] = 1.0
    watcher.estimator.go.set()
    said = answer(watcher)
    assert isinstance(said, Progress) and len(watcher.estimator.clips) == 1  # asked at the third moment, then waited
    assert said.moment.step == 2 and said.value == pytest.approx(20 / 255) and said.ms == 1000 and not said.success
    see(watcher, 10)
    assert watcher.poll() is None and len(watcher.estimator.clips) == 1  # too early for another
    now[0] = 2.5
    see(watcher, 11)
    said = answer(watcher)
    assert said.moment.step == 11 and len(watcher.estimator.clips[1]) == 4
    first, last = watcher.estimator.clips[1].views["front"][[0, -1], 0, 0, 0]
    assert (first, last) == (0, 110)  # the whole episode, evenly


def test_the_end_is_always_asked_about_and_an_episode_begins_anew(watcher, now):
    watcher.estimator.go.set()
    for step in range(3):
        see(watcher, step)
    answer(watcher)
    see(watcher, 3, done=True, shade=200)
    said = answer(watcher)
    assert said.moment.step == 3 and said.success
    for step in range(2):
        see(watcher, step, episode=1)
    now[0] = 100.0
    see(watcher, 1, episode=1)  # said twice: still two moments
    assert watcher.poll() is None
    see(watcher, 2, episode=1)
    assert answer(watcher).moment.key == (1, 2) and len(watcher.estimator.clips[-1]) == 3


def test_failures_are_told_and_the_next_question_is_asked_all_the_same(watcher, now):
    watcher.estimator.go.set()
    watcher.estimator.error = "the endpoint is gone"
    for step in range(3):
        see(watcher, step)
    assert answer(watcher) == "the endpoint is gone"
    watcher.estimator.error, now[0] = "", 5.0
    see(watcher, 3, shade=255)
    assert answer(watcher) == "no answer"
    now[0] = 10.0
    see(watcher, 4)
    assert isinstance(answer(watcher), Progress)


def test_a_long_episode_is_thinned_and_keeps_its_ends(watcher, monkeypatch):
    monkeypatch.setattr(watching, "MOST", 8)
    for step in range(25):
        see(watcher, step)
    steps = [moment.step for moment, _ in watcher._seen]
    assert len(steps) <= 8 and steps[0] == 0 and steps[-1] == 24 and steps == sorted(steps)


def test_when_time_goes_back_the_episode_and_the_answer_are_dropped(watcher, now):
    for step in range(5):
        see(watcher, step)
    watcher.forget()
    watcher.estimator.go.set()
    now[0] = 10.0
    assert watcher.poll() is None
    for step in range(3):
        see(watcher, step, shade=100)
    said = answer(watcher)
    assert said.moment.step == 2 and len(watcher.estimator.clips[-1].views["front"]) == 3
