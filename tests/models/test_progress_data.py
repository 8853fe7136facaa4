"""Progress of whole data sets: examined, written, resumed, filtered by, and turned into weights."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgps_models.data import EpisodeStore
from vgps_models.data.sampling import succeeded
from vgps_models.data.subset import write_subset
from vgps_models.errors import DataError, UnknownNameError
from vgps_models.progress import Clip, Estimate, annotation
from vgps_models.progress.clips import of_episode
from vgps_models.progress.controls import CONTROLS, make
from vgps_models.progress.examination import count, examine
from vgps_models.progress.measures import Curve, voc
from vgps_models.training import weights


class Truthful:
    """Knows each frame of a data set: where it stands in its episode, how that ended, and what it was told to do."""

    source, threshold = "truth", 0.9

    def __init__(self, store: EpisodeStore) -> None:
        self.known, self.asked = {}, 0
        for episode, record in enumerate(store.records):
            images = store.images(episode)["front"]
            best = 1.0 if record.success else 0.6
            for t, image in enumerate(images):
                self.known[image.tobytes()] = (record.instruction, best * t / (len(images) - 1))

    def estimate(self, clip: Clip, context=()) -> Estimate:
        self.asked += 1
        seen = [self.known[image.tobytes()] for image in clip.views["front"]]
        values = np.array([value if told == clip.task else 0.0 for told, value in seen])
        return Estimate(values, np.zeros(len(clip)), self.source)


class Counting:
    """Judges by the place in the list, as a model does that never looked."""

    source = "counting"

    def estimate(self, clip: Clip, context=()) -> Estimate:
        return Estimate(np.linspace(0, 1, len(clip)), np.zeros(len(clip)), self.source)


@pytest.fixture(scope="module")
def store(episodes) -> EpisodeStore:
    return EpisodeStore(episodes)


def test_a_truthful_estimator_passes_everything(store):
    calls = []
    found = examine(Truthful(store), store, controls=4, progress=lambda: calls.append(1))
    numbers = found.to_json()
    assert len(calls) == count(store, 4) and found.passed()
    assert numbers["voc"]["median"] == pytest.approx(1.0) and numbers["detection"]["auc"] == 1.0
    assert numbers["detection"]["accuracy"] == 1.0 and numbers["failure_rate"] == 0.0
    assert set(numbers["controls"]) == set(CONTROLS)
    json.dumps(numbers, allow_nan=False)


def test_one_that_never_looks_has_a_perfect_voc_and_passes_no_control(store):
    found = examine(Counting(), store, controls=4)
    assert found.order()["median"] == pytest.approx(1.0)
    assert not found.passed() and not any(c["separated"] for c in found.controls().values())


def test_what_the_controls_are(store):
    random = np.random.default_rng(0)
    genuine, other = of_episode(store, 0), of_episode(store, 1)
    made = {name: make(name, genuine, other, random) for name in CONTROLS}
    front = genuine.views["front"]
    assert (made["reversed"].views["front"] == front[::-1]).all()
    assert (made["frozen"].views["front"] == made["frozen"].views["front"][0]).all()
    assert len(made["frozen"]) == len(genuine) > len(made["truncated"]) >= 2
    assert made["wrong_instruction"].task == other.task and (made["wrong_instruction"].views["front"] == front).all()
    mixed = made["other_episode"].views["front"]
    assert (mixed[0] == front[0]).all() and (mixed[1:] == other.views["front"][1:]).all()
    assert made["other_episode"].task == genuine.task
    assert Curve.of(np.full(5, 0.3)).voc == 0


def test_only_wanted_frames_are_decoded_and_they_are_the_right_ones(store):
    for episode in range(3):
        every = of_episode(store, episode)
        some = of_episode(store, episode, 4)
        at = np.unique(np.linspace(0, len(every) - 1, 4).round().astype(int))
        assert set(some.views) == {"front", "wrist"}
        assert all((some.views[name] == every.views[name][at]).all() for name in some.views)
    assert set(of_episode(store, 0, 4, ("wrist",)).views) == {"wrist"}
    with pytest.raises(UnknownNameError, match="front"):
        of_episode(store, 0, 4, ("side",))


def test_an_interrupted_annotation_goes_on_where_it_stopped(store, tmp_path):
    out, whole = tmp_path / "progress.parquet", Truthful(store)

    class Dies(Truthful):
        def estimate(self, clip, context=()):
            if self.asked == 4:
                raise KeyboardInterrupt
            return super().estimate(clip, context)

    with pytest.raises(KeyboardInterrupt):
        annotation.annotate(Dies(store), store, out)
    assert not out.exists()
    with (tmp_path / "progress.parquet.part").open("a", encoding="utf-8") as lines:
        lines.write('{"episode": 9, "val')  # the writer was killed within a line
    made, _ = annotation.annotate(whole, store, out)
    assert whole.asked == len(store) - 4 and not list(tmp_path.glob("*.part"))
    read = annotation.read(out, store)
    assert np.allclose(read.values, made.values, atol=1e-6) and read.source == "truth" and read.threshold == 0.9
    table = pq.read_table(out)
    assert {"index", "episode_index", "frame_index", "progress_sparse"} <= set(table.column_names)
    columns = store.columns()
    assert (table["index"].to_numpy() == np.arange(len(columns))).all()
    assert (table["frame_index"].to_numpy() == columns.frame).all()


def test_between_judged_frames_values_are_interpolated(store, tmp_path):
    made, _ = annotation.annotate(Truthful(store), store, tmp_path / "p.parquet", frames=3)
    full, _ = annotation.annotate(Truthful(store), store, tmp_path / "q.parquet")
    assert np.abs(made.values - full.values).max() < 0.1  # truth is a straight line


def test_an_annotation_of_other_data_is_refused(store, tmp_path):
    out = tmp_path / "p.parquet"
    with pytest.raises(DataError, match="vgps data progress"):
        annotation.read(out, store)
    annotation.annotate(Truthful(store), store, out)
    write_subset(store, succeeded(store.columns()), tmp_path / "won")
    with pytest.raises(DataError, match="other data"):
        annotation.read(out, EpisodeStore(tmp_path / "won"))
    out.write_bytes(out.read_bytes()[:200])
    with pytest.raises(DataError, match="holds no progress"):
        annotation.read(out, store)


def test_a_subset_is_a_data_set_of_the_same_episodes(store, tmp_path):
    keep = np.arange(len(store)) % 3 == 0
    write_subset(store, keep, tmp_path / "some")
    some = EpisodeStore(tmp_path / "some")
    assert not some.problems and [r.name for r in some.records] == [store.records[i].name for i in np.flatnonzero(keep)]
    for i, episode in enumerate(np.flatnonzero(keep)):
        mine, theirs = some.images(i), store.images(int(episode))
        assert all((mine[name] == theirs[name]).all() for name in mine)
    with pytest.raises(DataError, match="exists already"):
        write_subset(store, keep, tmp_path / "some")
    with pytest.raises(DataError, match="no episode"):
        write_subset(store, np.zeros(len(store), bool), tmp_path / "none")


@given(st.lists(st.floats(-1, 1), min_size=3, max_size=40))
def test_rabc_weights_follow_the_rule(drawn):
    gain = np.array(drawn)
    made = weights.rabc(gain)
    assert ((made >= 0) & (made <= 1)).all()
    assert (made[gain > 0.01] == 1).all() and (made[gain < 0] == 0).all()
    small = (gain >= 0) & (gain <= 0.01)
    expected = (gain - (gain.mean() - 2 * gain.std())) / (4 * gain.std() + 1e-6)
    assert np.allclose(made[small], expected.clip(0, 1)[small])


def test_awr_prefers_what_brings_more_and_never_explodes():
    gain = np.array([-0.5, 0.0, 0.1, 5.0, np.nan])
    made = weights.awr(gain, 0.1)
    assert (np.diff(made[:4]) > 0).all() and made[4] == 1 and np.isfinite(made).all()


def test_gains_end_with_the_episode_and_distrust_switches_weights_off(store):
    columns = store.columns()
    values = Truthful(store)
    truth = np.concatenate([values.estimate(of_episode(store, e)).values for e in range(len(store))])
    gain = weights.gains(truth, columns, 4)
    assert (gain >= 0).all() and (gain[columns.bounds[1:] - 1] == 0).all()
    # Of one task progress runs backwards: its VOC is -1, so its frames keep their weight of 1.
    task = columns.instruction_tasks[0]
    bad = np.array([columns.instruction_tasks[i] == task for i in columns.instruction])
    made, trust = weights.weigh(weights.Weighing("rabc"), np.where(bad, 1 - truth, truth), columns, 4)
    assert not trust[task] and sum(trust.values()) == len(trust) - 1
    assert (made[bad] == 1).all() and (made[~bad] < 1).any()
    with pytest.raises(UnknownNameError, match="rabc"):
        weights.Weighing("best")


def test_a_policy_is_cloned_with_weights(store, policy_file, encoder_file, cache, tmp_path):
    from vgps_models import checkpoint
    from vgps_models.training.policy import PolicyTraining, train_policy

    path = tmp_path / "p.parquet"
    annotation.annotate(Truthful(store), store, path)
    config = PolicyTraining(
        data=store.root, encoder=str(encoder_file), out=tmp_path / "weighed.safetensors", cache=cache, steps=3, batch=8,
        threads=1, held_out=0.2, model={"width": 32, "depth": 2, "words": 8},
        weigh=weights.Weighing("rabc", progress=path),
    )  # fmt: skip
    assert train_policy(config)
    assert checkpoint.read_card(config.out).settings["progress_source"] == "truth"
    with pytest.raises(DataError, match="vgps data progress"):
        train_policy(replace(config, weigh=weights.Weighing("awr", progress=tmp_path / "none.parquet")))
    assert voc(np.arange(4.0)) == pytest.approx(1)
