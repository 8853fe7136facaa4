"""Ctrl-C, SIGTERM and SIGKILL during trainings: real signals, in this process and to real `vgps train` processes."""

from __future__ import annotations

import json
import re
import shlex
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file

from vgps_models import interrupts
from vgps_models.critics.network import CriticConfig
from vgps_models.interrupts import Interrupted
from vgps_models.training import course, critic, encoder, frames, sample_cache
from vgps_models.training.cache import Rows
from vgps_models.training.critic import CriticTraining, train_critic
from vgps_models.training.encoder import EncoderTraining, train_encoder

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture
def trainings(scenes, small_encoder, policy_file, episodes, cache, tmp_path):
    """name -> (train, config, the class that takes its steps)."""
    out = tmp_path / "it.safetensors"
    critical = CriticTraining(
        data=episodes, policy=str(policy_file), out=out, cache=cache, samples=4, steps=6, batch=16, wrong_batch=8,
        threads=1, save_every=2, model=CriticConfig(width=32, words=8),
    )  # fmt: skip
    seeing = EncoderTraining(data=scenes, out=out, steps=6, batch=16, threads=1, save_every=2, model=small_encoder)
    return {
        "critic": (train_critic, critical, critic.Trainer),
        "encoder": (train_encoder, seeing, encoder._Trainer),
    }


@pytest.fixture(autouse=True)
def heeded() -> Iterator[None]:
    """SIGINT as it usually is: a shell starts what runs in the background with SIGINT ignored, these tests too."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def saved(out: Path) -> int:
    """Updates in the saved state, 0 without one. What is there must be whole and finite."""
    state = out.with_suffix(".resume.safetensors")
    if not state.exists():
        return 0
    with safe_open(state, framework="pt") as file:
        for key in file.keys():  # noqa: SIM118
            assert file.get_tensor(key).double().isfinite().all()
        return int((file.metadata() or {})["step"])


def interrupting(monkeypatch, trainer: type, at: int, signals: Sequence[signal.Signals]) -> None:
    """Send signals to this process while it takes the step `at`."""
    real = trainer.step

    def step(self, number: int):
        made = real(self, number)
        if number == at:
            for one in signals:
                signal.raise_signal(one)
        return made

    monkeypatch.setattr(trainer, "step", step)


@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("name", ["critic", "encoder"])
def test_the_update_under_way_is_done_and_saved(trainings, name, number, tmp_path, monkeypatch):
    train, config, trainer = trainings[name]
    whole = load_file(train(replace(config, out=tmp_path / "whole.safetensors")))
    with monkeypatch.context() as patch:
        interrupting(patch, trainer, 2, [number])
        with pytest.raises(Interrupted, match=r"interrupted after 3 of 6 updates, all saved in it\.resume\."):
            train(config)
    assert saved(config.out) == 3 and signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    made = load_file(train(config))
    assert set(made) == set(whole) and all(np.array_equal(made[key], whole[key]) for key in whole)


def test_a_second_signal_leaves_at_once_and_harms_nothing(trainings, tmp_path, monkeypatch):
    train, config, trainer = trainings["critic"]
    monkeypatch.setattr(course, "SAME", -1.0)  # the second may come right after the first
    with monkeypatch.context() as patch:
        interrupting(patch, trainer, 3, [signal.SIGINT, signal.SIGINT])
        with pytest.raises(Interrupted, match=r"interrupted after 3 of 6 updates, 2 saved in it\.resume\."):
            train(config)
    assert saved(config.out) == 2 and not list(tmp_path.glob("*.partial"))
    real = Path.replace

    def replacing(self: Path, target: Path) -> Path:
        if target.name == "it.resume.safetensors":
            for _ in range(2):
                signal.raise_signal(signal.SIGINT)
        return real(self, target)

    monkeypatch.setattr(Path, "replace", replacing)  # and in the middle of saving
    with pytest.raises(Interrupted, match=r"interrupted after 4 of 6 updates, 2 saved in it\.resume\."):
        train(config)
    assert saved(config.out) == 2 and not list(tmp_path.glob("*.partial"))


def test_a_signal_that_comes_twice_is_one(trainings, monkeypatch):
    train, config, trainer = trainings["encoder"]
    interrupting(monkeypatch, trainer, 2, [signal.SIGINT, signal.SIGTERM])
    with pytest.raises(Interrupted, match="all saved"):
        train(config)
    assert saved(config.out) == 3


def test_before_the_first_saved_update_it_says_so(trainings, monkeypatch):
    train, config, trainer = trainings["critic"]
    monkeypatch.setattr(course, "SAME", -1.0)
    interrupting(monkeypatch, trainer, 0, [signal.SIGINT, signal.SIGINT])
    with pytest.raises(Interrupted, match="after 0 of 6 updates, none of them saved"):
        train(config)


def test_handlers_of_the_program_and_other_threads_are_left_alone():
    heard: list[int] = []
    before = signal.signal(signal.SIGTERM, lambda number, _: heard.append(number))
    try:
        with interrupts.deferred() as stop:
            signal.raise_signal(signal.SIGTERM)
        assert heard == [signal.SIGTERM] and not stop.asked
        with pytest.raises(KeyboardInterrupt), interrupts.ending():
            signal.raise_signal(signal.SIGTERM)
        signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as under nohup
        with interrupts.ending(), interrupts.deferred() as stop:
            signal.raise_signal(signal.SIGHUP)
        assert not stop.asked
    finally:
        signal.signal(signal.SIGTERM, before)
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    passed: list[bool] = []

    def elsewhere() -> None:
        with interrupts.ending(), interrupts.deferred() as stop:
            passed.append(stop.asked)

    thread = threading.Thread(target=elsewhere)
    thread.start()
    thread.join()
    assert passed == [False]


@pytest.mark.parametrize("what", ["encoding", "policy samples"])
def test_what_was_prepared_is_kept(trainings, what, tmp_path, monkeypatch):
    train, config, _ = trainings["critic"]
    monkeypatch.setattr(sample_cache.policy_samples, "__kwdefaults__", {"batch": 16, "seed": 0})
    plain = load_file(train(replace(config, cache=tmp_path / "plain", out=tmp_path / "plain.safetensors")))
    config = replace(config, cache=tmp_path / "cache")

    def track(rows: Iterable[int], title: str, **_: Any) -> Iterator[int]:
        for row in rows:
            if title == what and row >= 3:
                signal.raise_signal(signal.SIGINT)
            yield row

    with monkeypatch.context() as patch:
        for module in (frames, sample_cache):
            patch.setattr(module, "track", track)
        with pytest.raises(Interrupted, match="that are done are kept"):
            train(config)
    parts = list(config.cache.rglob("*.part"))
    assert parts and all(part.stat().st_size for part in parts)
    for part in parts:  # as a kill in the middle of a write leaves it
        with part.open("ab") as file:
            file.write(b"\0\0\0")
    kept, real = list[int](), Rows.__init__

    def begun(self: Rows, *arguments: Any) -> None:
        real(self, *arguments)
        kept.append(self.done)

    monkeypatch.setattr(Rows, "__init__", begun)
    made = load_file(train(config))
    assert max(kept) > 0 and not list(config.cache.rglob("*.part"))
    assert all(np.array_equal(made[key], plain[key]) for key in plain)


def vgps_train(*arguments: str | Path) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "vgps_node.cli", "train", *map(str, arguments)]
    return subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8")


def wait_until(there: Callable[[], bool], process: subprocess.Popen[str], seconds: float = 120) -> None:
    """Only a bound on waiting."""
    deadline = time.monotonic() + seconds
    while not there():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(0.01)


@pytest.fixture
def commands(scenes, small_encoder, policy_file, episodes, cache, tmp_path):
    """Arguments of `vgps train` for trainings that would go on for hours."""
    out, common = tmp_path / "it.safetensors", ["--steps", "1000000", "--batch", "16", "--threads", "1"]
    sizes: list[str] = []
    for name in ("image_size", "channels", "context", "free", "words", "hidden", "latent"):
        sizes += [f"--model.{name.replace('_', '-')}", *map(str, np.atleast_1d(getattr(small_encoder, name)))]
    return out, {
        "critic": [
            "critic", "--data", episodes, "--policy", policy_file, "--cache", cache, "--samples", "4",
            "--wrong-batch", "8", "--model.width", "32", "--model.words", "8", "--log-every", "1", "--save-every", "7",
            "--out", out, *common,
        ],
        "encoder": ["encoder", "--data", scenes, "--out", out, *sizes, *common],
    }  # fmt: skip


@pytest.mark.parametrize(("name", "signals"), [("critic", SIGNALS), ("encoder", SIGNALS[1:])])
def test_a_real_command_keeps_what_was_done(commands, name, signals):
    out, arguments = commands[0], commands[1][name]
    log, before = out.with_suffix(".log.jsonl"), 0
    for number in signals:
        process = vgps_train(*arguments)
        wait_until(partial(logged, log, before), process)
        process.send_signal(number)
        said, error = process.communicate(timeout=120)
        assert process.returncode == 130 and not said
        done = re.search(r"interrupted after (\d+) of 1000000 updates, all saved in it\.resume\.safetensors; ", error)
        assert done and "Traceback" not in error
        assert error.rstrip().endswith("go on with: " + shlex.join(["vgps", "train", *map(str, arguments)]))
        if before:
            assert f"resumed at step {before} of 1000000" in error
        assert saved(out) == int(done[1]) > before
        before = int(done[1])


def test_a_kill_harms_no_saved_state(commands):
    out, arguments = commands[0], [*commands[1]["critic"], "--save-every", "1"]
    process = vgps_train(*arguments)
    wait_until(lambda: saved(out) > 5, process)
    process.kill()
    process.communicate()
    assert saved(out) > 5


def logged(log: Path, step: int) -> bool:
    """Whether this step is in the log."""
    lines = log.read_text(encoding="utf-8").split("\n")[:-1] if log.exists() else []
    return bool(lines) and json.loads(lines[-1])["step"] >= step
