"""A comparison video shows what really happened, and browsers can play it."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from made import evaluation
from twin import Twin

from vgps_sim import drawing, video
from vgps_sim.evaluate import Condition, EpisodeResult, Job, WorldSource
from vgps_sim.results import EvaluationError
from vgps_sim.world import World

TASK = "put_eggplant_in_basket"


@pytest.fixture(scope="module")
def sides() -> list[EpisodeResult]:
    source = WorldSource()
    conditions = [Condition("bare", partial(Twin, 1)), Condition("guided", partial(Twin, 5, "argmax"))]
    played = [source.play(Job(c, TASK, 21, max_steps=n)) for c, n in zip(conditions, (5, 3), strict=True)]
    source.close()
    return played


def test_the_video_is_what_browsers_play(sides: list[EpisodeResult], tmp_path: Path) -> None:
    made = video.render(sides, tmp_path / "v" / "clip.mp4", subtitles=["one sample", "argmax of 5 samples"])
    assert made.faithful and made.outcomes == {"bare": False, "guided": False}
    with av.open(str(made.path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.name == "h264" and stream.codec_context.pix_fmt == "yuv420p"
        assert (stream.width, stream.height) == drawing.size(2)
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(stream)]
    moving = 5 * video.FRAMES_PER_STEP + 1
    assert len(frames) == moving + round(video.HOLD_SECONDS * 5 * video.FRAMES_PER_STEP)
    assert np.abs(frames[0].astype(int) - frames[-1]).mean() > 1


def test_a_replay_passes_through_the_recorded_states(sides: list[EpisodeResult]) -> None:
    """Showing the moments between control steps does not change what happens at them."""
    stage, source = World(TASK), WorldSource()
    stage.reset(21)
    shots = list(video.replay(sides[0], stage))
    job = Job(Condition("bare", partial(Twin, 1)), TASK, 21, max_steps=5)
    assert np.array_equal(source.play(job).actions, sides[0].actions)
    live = source._worlds[TASK]
    assert np.array_equal(shots[-1].view, live.render("shoulder", drawing.VIEW_HEIGHT, drawing.VIEW_WIDTH))
    assert all(np.array_equal(shots[-1].eyes[name], image) for name, image in live.images().items())
    assert [s.step for s in shots] == [i // video.FRAMES_PER_STEP for i in range(len(shots))]
    source.close()
    stage.close()


def test_scores_and_the_chosen_candidate_are_drawn(sides: list[EpisodeResult]) -> None:
    stage = World(TASK)
    stage.reset(21)
    guided = next(video.replay(sides[1], stage))
    stage.close()
    assert guided.fan is not None and len(guided.fan[1]) == 5
    colour = drawing.accent(0)
    with_scores = np.asarray(video.compose([guided], ["guided"], [], "words", 21))
    bars = with_scores[drawing.BARS_TOP : drawing.BARS_TOP + drawing.BARS]
    assert (bars == colour).all(axis=-1).sum() > 500  # the chosen bar
    assert (bars == drawing.BAR).all(axis=-1).sum() > 500  # the others
    axis = bars[:, drawing.MARGIN : drawing.MARGIN + drawing.AXIS - 6]
    assert (np.abs(axis.astype(int) - drawing.QUIET).max(axis=-1) < 40).sum() > 20  # its numbers
    assert drawing.BARS_TOP + drawing.BARS < drawing.HEIGHT / 2  # a player's controls lie over the lower edge


def test_the_axis_of_scores_stays_the_same_all_episode(sides: list[EpisodeResult]) -> None:
    stage = World(TASK)
    stage.reset(21)
    scales = {shot.scale for shot in video.replay(sides[1], stage)}
    bare = {shot.scale for shot in video.replay(sides[0], stage)}
    stage.close()
    assert len(scales) == 1 and bare == {None}
    low, high = scales.pop() or (0, 0)
    assert all(low <= m - s and m + s <= high for r in sides[1].records for m, s in zip(r.mean, r.std, strict=True))


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_an_axis_has_a_few_round_numbers(low: float, span: float) -> None:
    found = drawing.ticks(low, low + span)
    assert 1 <= len(found) <= 6
    assert all(low - 1e-3 * span <= tick <= low + span * 1.001 for tick in found)


def test_progress_is_judged_at_every_decision_and_at_the_end_and_drawn(sides: list[EpisodeResult]) -> None:
    asked = []

    class Counting:
        threshold = 0.5

        def __call__(self, images, instruction: str) -> float:
            asked.append((sorted(images), instruction))
            return len(asked) / 10

    stage = World(TASK)
    stage.reset(21)
    shots = list(video.replay(sides[0], stage, judge=Counting()))
    plain = next(video.replay(sides[0], stage))
    stage.close()
    decisions = [record.step for record in sides[0].records]
    assert [step for step, _ in shots[-1].progress] == [*decisions, 5] and len(asked) == len(decisions) + 1
    assert set(map(str, asked)) == {str((["front", "wrist"], "put the eggplant in the basket"))}
    assert shots[0].progress == ((0, 0.1),) and plain.progress == ()
    with_curve, without = (np.asarray(video.compose([s], ["bare"], [], "words", 21)) for s in (shots[-2], plain))
    corner = np.s_[drawing.VIEW_TOP + 8 : drawing.VIEW_TOP + 80, drawing.MARGIN + 8 : drawing.MARGIN + 150]
    colour = np.abs(with_curve[corner].astype(int) - drawing.accent(0)).max(-1) < 40
    assert colour.sum() > 30 > (np.abs(without[corner].astype(int) - drawing.accent(0)).max(-1) < 40).sum()


def test_sides_of_different_seeds_are_refused(sides: list[EpisodeResult], tmp_path: Path) -> None:
    other = EpisodeResult(TASK, 22, "guided", False, 0)
    with pytest.raises(EvaluationError, match="one task and one seed"):
        video.render([sides[0], other], tmp_path / "x.mp4")


def test_the_showcase_varies_tasks_and_shows_a_loss() -> None:
    pairs = [("a", 1), ("a", 2), ("b", 3), ("a", 4), ("c", 5)]
    assert video._varied(pairs) == [("a", 1), ("b", 3), ("c", 5), ("a", 2), ("a", 4)]
    made = evaluation({"bare": [0, 0, 0, 0, 1, 1], "guided": [1, 1, 1, 1, 0, 1]}, tasks=["a", "b"])
    assert video.choose(made, limit=3) == [("a", 1_000_000), ("b", 1_000_001), ("a", 1_000_004)]
    assert video.choose(evaluation({"bare": [0, 1]}), limit=3) == []
