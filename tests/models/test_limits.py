"""Limits of settings: what is outside is refused with the name and the range."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Annotated

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgps_models.errors import DataError, UnknownNameError, VgpsError
from vgps_models.limits import Between, OneOf, check_limits, limits_of


@dataclass(frozen=True)
class Options:
    k: Annotated[int, Between(1, 1000)] = 10
    beta: Annotated[float, Between(0)] = 1.0
    clock: Annotated[str, OneOf({"lockstep": 1, "realtime": 2})] = "lockstep"
    free: float = -5.0

    def __post_init__(self) -> None:
        check_limits(self, DataError)


@given(k=st.integers(-5, 1005), beta=st.floats())
def test_a_number_is_accepted_exactly_inside_its_range(k: int, beta: float) -> None:
    inside = 1 <= k <= 1000 and beta >= 0
    if inside:
        assert Options(k=k, beta=beta).k == k
    else:
        with pytest.raises(DataError, match="must be"):
            Options(k=k, beta=beta)


def test_messages_name_the_field_and_what_is_valid() -> None:
    with pytest.raises(DataError, match="k is 0; it must be from 1 to 1000"):
        Options(k=0)
    with pytest.raises(DataError, match="beta is nan; it must be at least 0"):
        Options(beta=math.nan)
    with pytest.raises(UnknownNameError, match="unknown clock 'sundial'; choose one of: lockstep, realtime"):
        Options(clock="sundial")


@dataclass(frozen=True)
class Renamed(Options):
    clock: Annotated[str, "an annotation of somebody else"] = "lockstep"
    k: Annotated[int, Between(1, 5)] = 2


def test_a_field_that_is_annotated_again_keeps_its_limit_unless_it_has_another() -> None:
    with pytest.raises(UnknownNameError):
        Renamed(clock="sundial")
    with pytest.raises(DataError, match="from 1 to 5"):
        Renamed(k=6)


def test_fields_without_limits_have_none() -> None:
    assert limits_of(Options).keys() == {"k", "beta", "clock"}
    assert issubclass(DataError, VgpsError)
