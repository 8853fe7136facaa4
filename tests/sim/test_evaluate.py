"""The same seeds on every side, the same episode every time, and nothing that was played is lost."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from twin import Twin

from vgps_models.spaces import Decision, Observation
from vgps_sim import evaluate
from vgps_sim.env import start
from vgps_sim.episode import joint_command
from vgps_sim.evaluate import Condition, EpisodeResult, Job, WorldSource
from vgps_sim.journal import FILE
from vgps_sim.kinematics import ToolServo
from vgps_sim.results import EvaluationError
from vgps_sim.world import World

SPOON, CARROT = "put_spoon_on_towel", "put_carrot_on_plate"
BARE = Condition("bare", partial(Twin, 1), {"k": 1})
GUIDED = Condition("guided", partial(Twin, 6, "argmax"), {"k": 6, "rule": "argmax"})
SHORT = {"max_steps": 4, "progress": False}


class Dealt:
    """An episode source whose outcomes follow from condition and seed, for the book-keeping around it."""

    name = "dealt"

    def __init__(self, stop_at: int | None = None, how: type[BaseException] = RuntimeError) -> None:
        self.played: list[tuple[str, str, int]] = []
        self.stop_at, self.how = stop_at, how

    def play(self, job: Job) -> EpisodeResult:
        if len(self.played) == self.stop_at:
            raise self.how("the arm is gone")
        self.played.append((job.condition.name, job.task, job.seed))
        success = job.condition.name == "guided" or job.seed % 2 == 0
        return EpisodeResult(job.task, job.seed, job.condition.name, success, 3, actions=np.full((3, 7), job.seed / 3))

    def close(self) -> None: ...


def run(source: Dealt, folder: Path | None = None, n: int = 6) -> evaluate.Evaluation:
    return evaluate.run([BARE, GUIDED], [SPOON, CARROT], range(n), folder=folder, source=source, progress=False)


def test_every_condition_plays_the_same_seeds() -> None:
    source = Dealt()
    evaluation = run(source, n=7)
    sides = [[p[1:] for p in source.played if p[0] == name] for name in ("bare", "guided")]
    assert sides[0] == sides[1] == list(evaluation.pairs)
    assert evaluation.counts("bare") == (4, 7) and evaluation.counts("guided") == (7, 7)
    assert evaluation.pair("guided", "bare").won == ((CARROT, 1), (CARROT, 3), (CARROT, 5))
    assert evaluation.source == "dealt" and evaluation.stopped is None


@pytest.mark.parametrize("how", [RuntimeError, KeyboardInterrupt])
def test_what_was_played_is_kept_and_not_played_again(tmp_path: Path, how: type[BaseException]) -> None:
    first = Dealt(stop_at=5, how=how)
    broken = run(first, tmp_path)
    assert broken.stopped is not None
    assert "the arm is gone" in broken.stopped or how is KeyboardInterrupt
    assert sum(r.error is None for r in broken.results) == 5
    second = Dealt()
    whole = run(second, tmp_path)
    assert whole.stopped is None and len(second.played) == 7
    assert set(first.played).isdisjoint(second.played)
    assert [r.to_json() for r in whole.results] == [r.to_json() for r in run(Dealt()).results]


def test_a_half_written_line_is_named_skipped_and_played_again(tmp_path: Path) -> None:
    run(Dealt(), tmp_path)
    path = tmp_path / FILE
    text = path.read_text(encoding="utf-8")
    path.write_text(text[:-40], encoding="utf-8")
    source = Dealt()
    evaluation = run(source, tmp_path)
    assert source.played == [("guided", CARROT, 5)]
    assert any("1 unreadable" in note and FILE in note and "12" in note for note in evaluation.notes)
    assert len(evaluation.results) == 12
    again = Dealt()
    assert len(run(again, tmp_path).results) == 12 and not again.played


def test_results_of_other_settings_are_not_used(tmp_path: Path) -> None:
    run(Dealt(), tmp_path)
    source = Dealt()
    evaluate.run([BARE], [SPOON, CARROT], range(6), execute=1, folder=tmp_path, source=source, progress=False)
    assert len(source.played) == 6


@pytest.mark.parametrize(
    "conditions, options, says",
    [
        ([], {}, "unique names"),
        ([BARE, BARE], {}, "unique names"),
        ([BARE], {"execute": 0}, "at least 1"),
        ([BARE], {"source": Dealt(), "processes": 2}, "processes=1"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_played(conditions, options, says: str) -> None:
    with pytest.raises(EvaluationError, match=says):
        evaluate.run(conditions, [SPOON], [1], progress=False, **options)


def test_a_condition_without_a_controller_ends_with_the_reason() -> None:
    evaluation = evaluate.run([Condition("bare")], [SPOON], [1], **SHORT)
    assert "no controller factory" in (evaluation.stopped or "")


# With the simulator.


def test_an_episode_repeats_and_replays_bit_by_bit() -> None:
    source = WorldSource()
    job = Job(BARE, SPOON, 5, max_steps=6)
    first, second = source.play(job), source.play(job)
    source.close()
    assert np.array_equal(first.actions, second.actions)
    world, states = World(SPOON), []
    for _ in range(2):
        servo = ToolServo()
        start(world, servo, 5)
        for action in first.actions:
            world.apply(joint_command(servo, action))
        states.append(world.state())
    assert np.array_equal(*states)
    assert first.steps == len(first.actions) == 6
    assert [r.step for r in first.records] == [0, 2, 4]
    assert all(r.ms["loop"] > 0 for r in first.records)


def test_a_source_tells_sides_of_one_name_apart_by_their_settings() -> None:
    source = WorldSource()
    one, other = (Condition("guided", partial(Twin, k, "argmax"), {"k": k}) for k in (3, 6))
    counts = [len(source.play(Job(side, SPOON, 0, max_steps=2)).records[0].mean) for side in (one, other, one)]
    source.close()
    assert counts == [3, 6, 3]


def test_decisions_are_recorded_with_their_scores() -> None:
    bare, guided = evaluate.run([BARE, GUIDED], [CARROT], [11], **SHORT).results
    for record in guided.records:
        assert len(record.mean) == len(record.std) == len(record.reach) == 6
        assert record.chosen == int(np.argmax(record.mean))
    assert all(r.mean == () and r.reach == () for r in bare.records)


def test_workers_give_what_one_process_gives() -> None:
    one = evaluate.run([BARE, GUIDED], [SPOON, CARROT], [3, 4], **SHORT)
    two = evaluate.run([BARE, GUIDED], [SPOON, CARROT], [3, 4], processes=2, **SHORT)
    assert two.stopped is None
    assert [(r.condition, r.task, r.seed) for r in two.results] == [(r.condition, r.task, r.seed) for r in one.results]
    for a, b in zip(one.results, two.results, strict=True):
        assert np.array_equal(a.actions, b.actions)


class Dies:
    """A controller whose process is killed at the second episode."""

    def __call__(self, observation: Observation) -> Decision:
        if observation.key[0] == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        chunk = np.zeros((4, 7))
        return Decision(chunk, chunk[None])


def test_a_killed_worker_ends_the_evaluation_with_the_reason_and_loses_nothing(tmp_path: Path) -> None:
    condition = Condition("dies", Dies)
    evaluation = evaluate.run([condition], [SPOON], [1, 2, 3], processes=2, folder=tmp_path, **SHORT)
    assert "SIGKILL" in (evaluation.stopped or "") and "seed 2" in (evaluation.stopped or "")
    kept = (tmp_path / FILE).read_text(encoding="utf-8").splitlines()
    assert len(kept) == len(evaluation.results) and all(r.seed != 2 for r in evaluation.results)


class Seer:
    """Judges by how much of the picture is bright: what it says does not matter, only that it is asked and kept."""

    threshold = 0.4

    def __call__(self, images, instruction: str) -> float:
        assert set(images) == {"front", "wrist"} and instruction
        return float(images["front"].mean() / 255)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_judge_sees_the_last_images_and_its_verdict_is_kept(tmp_path: Path, processes: int) -> None:
    made = evaluate.run(
        [BARE, GUIDED], [SPOON], range(2), folder=tmp_path, judge_factory=Seer, processes=processes, **SHORT
    )
    assert all(e.progress is not None and e.called == (e.progress >= 0.4) for e in made.results)
    judged = made.to_json()["conditions"]["bare"]["judged"]
    assert judged["episodes"] == 2 and judged["agree"] + judged["false_success"] + judged["missed"] == 2
    again = evaluate.run([BARE, GUIDED], [SPOON], range(2), folder=tmp_path, **SHORT)
    assert [(e.progress, e.called) for e in again.results] == [(e.progress, e.called) for e in made.results]
    plain = evaluate.run([BARE], [SPOON], range(1), **SHORT)
    assert plain.judged("bare") is None and plain.results[0].called is None
