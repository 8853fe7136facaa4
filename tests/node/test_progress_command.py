"""`vgps progress` and `vgps data progress|filter` from the command line, with the shipped estimator."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from vgps_models.data import EpisodeStore, EpisodeWriter
from vgps_models.data.episodes import example_episode
from vgps_models.progress import annotation
from vgps_models.progress.clips import of_episode
from vgps_node.cli import main

sys.path.insert(0, str(Path(__file__).parents[1] / "models"))
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
    made = json.loads(out.read_text(encoding="utf-8"))
    assert len(made["values"]) == len(made["seconds"]) == 4 and made["source"] == "learned:progress"
    assert all(0 <= v <= 1 for v in made["values"]) and "VOC" in capsys.readouterr().out


def test_another_backend_is_chosen_by_its_name(data, tmp_path):
    out = tmp_path / "curve.json"
    arguments = ["progress", "score", f"{data}:2", "--frames", "4", "--json", str(out), "--backend", "vlmrm"]
    assert main(arguments) == 0
    assert json.loads(out.read_text(encoding="utf-8"))["source"] == "vlmrm:imagetext:alpha=0.25"
    beside = ["--vlmrm.alpha", "0.5", "--vlmrm.baseline-of", TASKS["put_spoon_on_towel"], "a spoon beside a towel"]
    assert main([*arguments, *beside]) == 0
    assert json.loads(out.read_text(encoding="utf-8"))["source"] == "vlmrm:imagetext:alpha=0.5"
    assert main(["data", "progress", str(data), "--backend", "vlmrm", "--frames", "3"]) == 0
    assert data.with_name("set.progress-vlmrm.parquet").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["score", "{data}:9"], "0 .. 5"),
        (["score", "{data}"], "say which one"),
        (["score", "{data}:1", "--backend", "crystal"], "learned"),
        (["score", "nowhere.mp4"], "does not exist"),
        (["score", "{data}:1", "--backend", "vlmrm", "--vlmrm.alpha", "2"], "alpha"),
        (["score", "{data}:1", "--backend", "vlmrm", "--vlmrm.goals", "{{tusk}}"], "{task}"),
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
    assert out.read_text(encoding="utf-8").count("<figure>") == 6


def test_an_estimator_is_examined(data, tmp_path):
    out = tmp_path / "check.json"
    code = main(["progress", "check", str(data), "--controls", "2", "--json", str(out)])
    found = json.loads(out.read_text(encoding="utf-8"))
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


def test_a_run_that_is_killed_goes_on_and_pays_for_no_answer_twice(data, tmp_path):
    pytest.importorskip("openai")
    from vlm_server import Server, truth_of  # pyright: ignore[reportMissingImports]

    store = EpisodeStore(data)
    truth = {}
    for episode in range(len(store)):
        clip = of_episode(store, episode, 4)
        truth |= truth_of(clip, np.linspace(0, 0.9, len(clip)).round(2))
    out = tmp_path / "progress.parquet"
    with Server(truth) as server:
        server.delay_s = 0.4
        arguments = [
            "data", "progress", str(data), "--backend", "gvl", "--frames", "4", "--out", str(out),
            "--gvl.chat.model", "m", "--gvl.chat.base-url", server.url, "--gvl.chat.concurrency", "1",
            "--gvl.chat.cache", str(tmp_path / "chat"),
            "--gvl.chat.requests-per-minute", "0",
        ]  # fmt: skip
        child = subprocess.Popen([sys.executable, "-m", "vgps_node.cli", *arguments], stderr=subprocess.DEVNULL)
        deadline = time.monotonic() + 60
        while server.requests < 4:
            assert child.poll() is None and time.monotonic() < deadline
            time.sleep(0.005)
        child.kill()  # the fourth question is asked and not answered
        child.wait()
        server.delay_s = 0.0
        assert not out.exists()
        assert main(arguments) == 0
        asked = Counter(json.dumps(body["messages"]) for body in server.bodies)
        assert server.requests == len(store) + 1 and sorted(asked.values()) == [1] * (len(store) - 1) + [2]
        out.unlink()
        assert main(arguments) == 0  # all from the cache
        assert server.requests == len(store) + 1
    made = annotation.read(out, store)
    for first, end in zip(store.columns().bounds, store.columns().bounds[1:], strict=False):
        assert np.allclose(
            made.values[first:end], np.interp(np.linspace(0, 1, end - first), [0, 1], [0, 0.9]), atol=0.12
        )
