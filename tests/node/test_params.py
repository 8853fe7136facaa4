"""Nested settings as flat parameters: values survive the way there and back, descriptions and limits come along."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import settings as example_count
from hypothesis import strategies as st

from vgps_models.errors import UnknownNameError, VgpsError
from vgps_models.limits import Between, OneOf
from vgps_node.advising import ProgressOptions
from vgps_node.params import ParameterSpec, changed, field_comments, flatten, specs


@dataclass(frozen=True)
class Inner:
    on: bool = False  # whether it is on
    word: str = "a"
    folder: Path = Path("x/y")  # where things lie


@dataclass(frozen=True)
class Outer:
    # how much of it
    # there is [m]
    number: Annotated[float, Between(0, 10)] = 0.5
    count: int = 3  # how many
    kind: Annotated[str, OneOf(("round", "square"))] = "round"  # its "shape", # and all
    inner: Inner = field(default_factory=Inner)


@dataclass(frozen=True)
class Further(Outer):
    count: int = 4  # how many more


settings = st.builds(
    Outer,
    number=st.floats(0, 10),
    count=st.integers(),
    inner=st.builds(Inner, st.booleans(), st.text(), st.text("abc/", min_size=1).map(Path)),
)


@example_count(max_examples=30)
@given(settings=settings, prefix=st.sampled_from(["", "progress."]))
def test_values_survive_the_way_to_parameters_and_to_words_and_back(settings: Outer, prefix: str) -> None:
    flat = flatten(settings, prefix)
    assert all(isinstance(value, (bool, int, float, str)) for value in flat.values())
    assert changed(Outer(), flat, prefix) == settings
    words = {name: specs(Outer(), prefix)[name].parse(name, str(value)) for name, value in flat.items()}
    assert changed(Outer(), words, prefix) == settings


def test_names_are_paths_of_fields_and_unknown_ones_are_ignored() -> None:
    assert flatten(Outer())["inner.folder"] == "x/y"
    new = changed(Outer(), {"inner.on": True, "use_sim_time": True, "count": 4})
    assert new == Outer(count=4, inner=Inner(on=True))


def test_descriptions_are_the_comments_of_the_fields() -> None:
    told = {name: spec.description for name, spec in specs(Further()).items()}
    assert told["number"] == "how much of it there is [m]"
    assert told["count"] == "how many more" and field_comments(Outer)["count"] == "how many"
    assert told["kind"] == 'its "shape", # and all'
    assert told["inner.on"] == "whether it is on" and told["inner.word"] == ""


def test_a_whole_number_passes_for_a_float_and_nothing_else_does() -> None:
    number = specs(Outer())["number"]
    value = number.check("number", 2)
    assert value == 2.0 and type(value) is float
    for wrong in (True, "2", math.nan, None, [2.0]):
        with pytest.raises(VgpsError, match="number is"):
            number.check("number", wrong)
    with pytest.raises(VgpsError, match=r"count is 2\.5; it must be a whole number"):
        specs(Outer())["count"].check("count", 2.5)


@pytest.mark.parametrize(
    ("name", "word", "message"),
    [
        ("inner.on", "maybe", r"inner\.on is 'maybe'; it must be a bool \(true or false\)"),
        ("count", "2.5", r"count is '2\.5'; it must be a whole number"),
        ("number", "11", "number is 11.0; it must be from 0 to 10"),
        ("number", "nan", "number is nan"),
    ],
)
def test_a_bad_word_is_named(name: str, word: str, message: str) -> None:
    with pytest.raises(VgpsError, match=message):
        specs(Outer())[name].parse(name, word)


def test_a_bad_name_gets_the_valid_ones() -> None:
    kind = specs(Outer())["kind"]
    assert kind.choices == ("round", "square") and kind.parse("kind", "square") == "square"
    with pytest.raises(UnknownNameError, match="round, square"):
        kind.parse("kind", "oval")
    assert ParameterSpec(1.0, "").choices == ()


def test_the_settings_of_progress_are_flat_words_and_numbers() -> None:
    flat = flatten(ProgressOptions())
    assert {"estimator", "checkpoint", "gvl.shuffles", "gvl.chat.model", "gvl.chat.price.input"} <= flat.keys()
    assert changed(ProgressOptions(), flat) == ProgressOptions()
