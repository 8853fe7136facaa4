"""`vgps progress` and `vgps data progress|filter` from the command line, with the shipped estimator."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from vgps_models.data import EpisodeStore, EpisodeWriter
from vgps_models.data.episodes import example_episode
from vgps_node.cli import main

TASKS = {"put_spoon_on_towel": "put the spoon on the towel", "put_carrot_on_plate": "put the carrot on the plate"}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("data") / "set"
    writer = EpisodeWriter(root)
    for number in range(6):
        task = list(TASKS)[number % 2]
        writer.write(
            example_episode(number, task_id=task, instruction=TASKS[task], steps=5, size=128, success=number < 4)
        )
    writer.finalise()
    return root


def test_one_episode_is_scored(data, tmp_path, capsys):
    out = tmp_path / "curve.json"
    assert main(["progress", "score", f"{data}:2", "--frames", "4", "--json", str(out)]) == 0
    made = json.loads(out.read_text())
    assert len(made["values"]) == len(made["seconds"]) == 4 and made["source"] == "learned:progress"
    assert all(0 <= v <= 1 for v in made["values"]) and "VOC" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["score", "{data}:9"], "0 .. 5"),
        (["score", "{data}"], "say which one"),
        (["score", "{data}:1", "--backend", "crystal"], "learned"),
        (["score", "nowhere.mp4"], "does not exist"),
        (["score", "{data}:1", "--backend", "gvl", "--gvl.chat.model", "m"], "OPENAI_API_KEY"),
    ],
)
def test_what_cannot_be_scored_is_told_with_the_next_step(data, arguments, told, capsys, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    assert main(["progress", *(a.format(data=data) for a in arguments)]) in (1, 2)
    assert told in capsys.readouterr().err.replace("\n", " ")


def test_a_page_is_written(data, tmp_path):
    out = tmp_path / "page.html"
    assert main(["progress", "report", str(data), "--out", str(out)]) == 0
    assert out.read_text().count("<figure>") == 6


def test_an_estimator_is_examined(data, tmp_path):
    out = tmp_path / "check.json"
    code = main(["progress", "check", str(data), "--controls", "2", "--json", str(out)])
    found = json.loads(out.read_text())
    assert code == (0 if found["passed"] else 1) and found["episodes"] == 6 and len(found["controls"]) == 5
    assert found["command"].startswith("vgps") or found["command"]


def test_progress_is_written_and_filtered_by(data, tmp_path, capsys):
    assert main(["data", "progress", str(data)]) == 0
    file = data.with_name("set.progress-learned.parquet")
    assert file.exists()
    assert main(["data", "filter", str(data), "--out", str(tmp_path / "all"), "--above", "0"]) == 0
    assert len(EpisodeStore(tmp_path / "all")) == 6
    assert main(["data", "filter", str(data), "--out", str(tmp_path / "won"), "--by", "outcome"]) == 0
    assert np.all(EpisodeStore(tmp_path / "won").episodes()["success"]) and len(EpisodeStore(tmp_path / "won")) == 4
    assert main(["data", "filter", str(data), "--out", str(tmp_path / "none"), "--above", "1.1"]) == 1
    assert main(["data", "filter", str(data), "--out", str(tmp_path / "x"), "--by", "luck"]) == 2
    assert "outcome" in capsys.readouterr().err
