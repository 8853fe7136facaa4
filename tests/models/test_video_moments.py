"""Any rate becomes a constant one by the time stamps, and any shape becomes a square one."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import accumulate

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgps_models.errors import DataError, UnknownNameError
from vgps_models.video.fitting import Fitter
from vgps_models.video.moments import HOLD_S, SLACK_S, Moment, Resampler

GAPS = st.lists(st.floats(0.003, 3.0), min_size=0, max_size=30)


def moments(seconds: list[float]) -> list[Moment]:
    return [Moment(s, lambda s=s: s) for s in seconds]


@given(gaps=GAPS, begin=st.floats(0, 50), hz=st.sampled_from([1.0, 5.0, 7.5, 30.0]))
def test_every_tick_shows_the_last_frame_before_it(gaps: list[float], begin: float, hz: float) -> None:
    times = list(accumulate(gaps, initial=begin))
    shown = [moment.seconds for moment in Resampler(hz)(moments(times))]
    assert len(shown) == int((times[-1] - begin + SLACK_S) * hz) + 1
    for tick, seconds in enumerate(shown):
        seen = [t for t in times if t - begin <= tick / hz + SLACK_S]
        assert seconds == seen[-1]


@given(frames=st.integers(1, 200), hz=st.sampled_from([2, 5, 10, 30]))
def test_a_video_of_the_wanted_rate_stays_as_it_is_however_times_were_rounded(frames: int, hz: int) -> None:
    rounded = [round(1000 * i / hz) / 1000 for i in range(frames)]
    resampler = Resampler(hz)
    assert [m.seconds for m in resampler(moments(rounded))] == rounded
    assert not resampler.pace.variable and resampler.pace.frames == frames


def test_late_frames_are_left_out_and_uneven_rates_are_noticed() -> None:
    resampler = Resampler(5)
    shown = [m.seconds for m in resampler(moments([0.0, 0.2, 0.1, 0.2, 1.0]))]
    assert shown == [0.0, 0.2, 0.2, 0.2, 0.2, 1.0] and resampler.pace.variable
    even = Resampler(5)
    assert list(even(moments([i / 29.97 for i in range(60)]))) and not even.pace.variable
    assert even.pace.hz == pytest.approx(29.97)


def test_what_came_before_a_jump_or_a_break_is_shown_in_full() -> None:
    shown: list[float] = []
    with pytest.raises(DataError, match="jump"):
        shown.extend(m.seconds for m in Resampler(5)(moments([0.0, 0.1, 0.4, 0.4 + HOLD_S + 1])))
    assert shown == [0.0, 0.1, 0.4]

    def breaking() -> Iterator[Moment]:
        yield from moments([0.0, 0.2, 0.4])
        raise DataError("the tape is torn")

    shown: list[float] = []
    with pytest.raises(DataError, match="torn"):
        shown.extend(m.seconds for m in Resampler(5)(breaking()))
    assert shown == [0.0, 0.2, 0.4]


def picture(height: int, width: int) -> np.ndarray:
    """Red on the left, blue on the right, a white top row."""
    out = np.zeros((height, width, 3), np.uint8)
    out[:, : width // 2, 0] = out[:, width // 2 :, 2] = 200
    out[: max(1, height // 4)] = 255
    return out


@given(height=st.integers(8, 300), width=st.integers(8, 300), how=st.sampled_from(["crop", "letterbox"]))
def test_every_shape_becomes_square(height: int, width: int, how: str) -> None:
    if max(height, width) > 8 * min(height, width):
        with pytest.raises(DataError, match="square"):
            Fitter(32, how)(picture(height, width))
        return
    made = Fitter(32, how)(picture(height, width))
    assert made.shape == (32, 32, 3) and made.dtype == np.uint8
    if how == "letterbox":
        bars = 32 - round(32 * min(height, width) / max(height, width))
        first = made[0] if height < width else made[:, 0]
        assert bars < 2 or not first.any()


def test_crop_keeps_the_middle_and_letterbox_keeps_all() -> None:
    wide = np.zeros((40, 120, 3), np.uint8)
    wide[:, 40:80] = 255
    assert Fitter(40, "crop")(wide).min() > 240
    boxed = Fitter(40, "letterbox")(wide)
    assert boxed[20, 20].min() > 240 and boxed[20, 2].max() < 15 and boxed[2, 20].max() < 15
    with pytest.raises(UnknownNameError, match="letterbox"):
        Fitter(40, "stretch")
