"""Work done elsewhere is told apart from one's own."""

from __future__ import annotations

import pytest

from vgps_models.training.neighbours import STAT, Neighbours, machine


def test_others_are_what_is_left_of_all_work(monkeypatch):
    """In 10 s the machine worked for 14 s, this process for 5."""
    times = iter([(100.0, 1000.0, 3.0), (110.0, 1014.0, 8.0)])
    monkeypatch.setattr(Neighbours, "_times", staticmethod(lambda: next(times)))
    assert Neighbours().cores() == 0.9


@pytest.mark.skipif(not STAT.exists(), reason="only Linux tells")
def test_this_machine_tells_its_times():
    before, after = Neighbours._times(), Neighbours._times()
    assert before is not None and after is not None
    assert all(0 <= a <= b for a, b in zip(before, after, strict=True))
    assert machine()["cores"] >= 1


def test_another_system_does_not_tell(monkeypatch, tmp_path):
    monkeypatch.setattr("vgps_models.training.neighbours.STAT", tmp_path / "none")
    assert Neighbours().cores() is None
