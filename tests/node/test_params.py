"""Nested settings as flat names: what goes out comes back, from ROS and from words."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import settings as example_count
from hypothesis import strategies as st

from vgps_models.errors import VgpsError
from vgps_node.advising import ProgressOptions
from vgps_node.params import changed, flatten, from_words


@dataclass(frozen=True)
class Inner:
    on: bool = False
    word: str = "a"
    folder: Path = Path("x/y")


@dataclass(frozen=True)
class Outer:
    number: float = 0.5
    count: int = 3
    inner: Inner = field(default_factory=Inner)


settings = st.builds(
    Outer,
    number=st.floats(allow_nan=False),
    count=st.integers(),
    inner=st.builds(Inner, st.booleans(), st.text(), st.text("abc/", min_size=1).map(Path)),
)


@example_count(max_examples=30)
@given(settings=settings, prefix=st.sampled_from(["", "progress."]))
def test_there_and_back(settings: Outer, prefix: str) -> None:
    flat = flatten(settings, prefix)
    assert all(isinstance(value, (bool, int, float, str)) for value in flat.values())
    assert changed(Outer(), flat, prefix) == settings
    words = {name: str(value) for name, value in flat.items()}
    assert changed(Outer(), from_words(flatten(Outer(), prefix), words), prefix) == settings


def test_names_say_where_and_others_are_left_alone() -> None:
    assert flatten(Outer())["inner.folder"] == "x/y"
    new = changed(Outer(), {"inner.on": True, "use_sim_time": True, "count": 4})
    assert new == Outer(count=4, inner=Inner(on=True))


def test_a_bad_word_is_named() -> None:
    with pytest.raises(VgpsError, match=r"inner\.on is 'maybe'"):
        from_words(flatten(Outer()), {"inner.on": "maybe"})
    with pytest.raises(VgpsError, match=r"count is '2\.5'.*no int"):
        from_words(flatten(Outer()), {"count": "2.5"})


def test_the_settings_of_progress_are_flat_words_and_numbers() -> None:
    flat = flatten(ProgressOptions())
    assert {"estimator", "checkpoint", "gvl.shuffles", "gvl.chat.model", "gvl.chat.price.input"} <= flat.keys()
    assert changed(ProgressOptions(), flat) == ProgressOptions()
