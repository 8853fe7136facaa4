"""When guidance lets go: the promise of conformal prediction, and a threshold from recorded episodes."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgps_models import checkpoint
from vgps_models.data import EpisodeStore
from vgps_models.data.sampling import split_episodes
from vgps_models.errors import DataError
from vgps_models.interrupts import Interrupted
from vgps_models.selection import Selection, SelectionError
from vgps_models.selection.trust import Trust, conformal_threshold, measured_coverage
from vgps_models.steering import Steering
from vgps_models.training import trust as trust_module
from vgps_models.training.trust import TrustCalibration, calibrate_trust, observations

pytestmark = pytest.mark.numerical

TRUST = Trust(2.0, 0.1, "p", "c", 10, Selection("mean_std"), (1.0, 2.0), (0.9, 0.8, 1.0))


def test_the_threshold_by_hand() -> None:
    assert conformal_threshold(range(1, 10), 0.1) == 9  # ceil(10 * .9) = 9th of 9
    assert conformal_threshold(range(1, 20), 0.1) == 18  # ceil(20 * .9) = 18th of 19
    assert conformal_threshold([3.0], 0.5) == 3.0
    with pytest.raises(SelectionError, match="8 episodes cannot vouch"):
        conformal_threshold(range(8), 0.1)


@given(doubts=st.lists(st.floats(0, 50), min_size=10, max_size=60, unique=True), alpha=st.floats(0.1, 0.9))
def test_every_episode_against_the_others_keeps_the_promise_exactly(doubts: list[float], alpha: float) -> None:
    """Each of n + 1 episodes is equally likely to be the new one: that is what exchangeable means."""
    n = len(doubts) - 1
    kept = sum(doubts[i] <= conformal_threshold(doubts[:i] + doubts[i + 1 :], alpha) for i in range(n + 1))
    assert kept == math.ceil((n + 1) * (1 - alpha) - 1e-9)
    assert kept / (n + 1) >= 1 - alpha - 1e-9


def test_coverage_measured_on_halves_is_the_promised_one() -> None:
    doubts = np.random.default_rng(0).gamma(2.0, size=400)
    mean, low, high = measured_coverage(doubts.tolist(), 0.1)
    assert 0.895 < mean < 0.92 and low < mean < high


def test_a_threshold_serves_what_it_was_made_for_and_nothing_else() -> None:
    assert TRUST.selection_for("p", "c", 10, Selection("mean_std")) == Selection("mean_std", abstain=2.0)
    for critic, k, selection in (("d", 10, "mean_std"), ("c", 50, "mean_std"), ("c", 10, "argmax")):
        with pytest.raises(SelectionError, match=r"critic|k: 10|rule"):
            TRUST.selection_for("p", critic, k, Selection(selection))


def test_the_file_leads_back_and_others_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "trust.json"
    TRUST.save(path)
    assert Trust.load(path) == TRUST
    path.write_text('{"threshold": 1}', encoding="utf-8")
    with pytest.raises(DataError, match="vgps train trust"):
        Trust.load(path)


def test_calibration_decides_as_at_run_time_on_episodes_nobody_learned_from(
    policy_file: Path, critic_file: Path, episodes: Path, tmp_path: Path
) -> None:
    out, selection = tmp_path / "trust.json", Selection("mean_std")
    config = TrustCalibration(episodes, str(policy_file), str(critic_file), out, 0.5, 4, selection)
    trust = Trust.load(calibrate_trust(config))
    store = EpisodeStore(episodes)
    columns, unseen = store.columns(), set(range(len(store)))
    for file in (policy_file, critic_file):
        settings = checkpoint.read_card(file).settings
        trained, _ = split_episodes(columns, settings["held_out"], settings["seed"])
        unseen -= set(columns.episode[trained].tolist())
    assert len(trust.doubts) == len(unseen) > 0
    steering = Steering.from_checkpoints(policy_file, critic_file, k=4, selection=selection)
    for episode, doubt in zip(sorted(unseen), trust.doubts, strict=True):
        decisions = [steering(seen) for seen in observations(store, columns, episode)]
        assert doubt == pytest.approx(max(d.std[d.chosen] for d in decisions), abs=1e-5)
    policy, critic = (checkpoint.read_card(file).weights_sha256 for file in (policy_file, critic_file))
    careful = trust.selection_for(policy, critic, 4, selection)
    assert careful.abstain == trust.threshold == conformal_threshold(trust.doubts, 0.5)


def test_an_interrupted_calibration_keeps_the_episodes_that_are_decided(
    policy_file: Path, critic_file: Path, episodes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = TrustCalibration(episodes, str(policy_file), str(critic_file), tmp_path / "whole.json", 0.5, 4)
    whole = Trust.load(calibrate_trust(config))
    config = replace(config, out=tmp_path / "trust.json")
    decided, interrupted = list[int](), list[bool]()

    def track(rows: range, *_: Any, **__: Any) -> Iterator[int]:
        for row in rows:
            if row == 1 and not interrupted:
                interrupted.append(True)
                raise KeyboardInterrupt
            decided.append(row)
            yield row

    monkeypatch.setattr(trust_module, "track", track)
    with pytest.raises(Interrupted, match="those that are done are kept"):
        calibrate_trust(config)
    assert not config.out.exists()
    again = Trust.load(calibrate_trust(config))
    assert decided == list(range(len(whole.doubts))) and len(decided) > 1  # none of them twice
    assert again.doubts == whole.doubts and again.threshold == whole.threshold
    assert {path.name for path in tmp_path.iterdir()} == {"whole.json", "trust.json"}
