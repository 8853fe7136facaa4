"""Two processes train what one does: losses, weights and resumption; one process knows nothing of accelerate."""

from __future__ import annotations

import json
import os
import pickle
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.numpy import load_file

from vgps_models.critics.network import CriticConfig
from vgps_models.critics.resnet import ResNetConfig
from vgps_models.errors import SpecError
from vgps_models.icvf import MultilinearConfig
from vgps_models.perception.images import ImageConfig
from vgps_models.training import parallel
from vgps_models.training.augment import AugmentConfig
from vgps_models.training.critic import CriticTraining, train_critic
from vgps_models.training.encoder import EncoderTraining, train_encoder
from vgps_models.training.pixel_critic import PixelTraining, train_pixels
from vgps_models.training.policy import PolicyTraining, train_policy
from vgps_models.training.video import VideoTraining, train_video
from vgps_models.video.bench import VideoBench, made_up
from vgps_models.video.sampling import Sampling

NAMES = ("encoder", "policy", "critic", "pixels", "video")
# Rounding: a sum of two half-batches is not bit for bit the sum of the batch. Adam divides by the size of a
# gradient, so what is rounding in a gradient near zero is a part of the rate (2e-3) in a weight.
WEIGHTS, LOSSES = 5e-5, 1e-5  # largest difference of a weight; of a loss, relative: some hundred roundings
WAVES = 1e-4  # of the loss over video, whose waves turn many times for a little more of a weight

# Runs pickled (train, config, stop_after) one after the other and logs every step.
SCRIPT = """
import pickle, sys
from vgps_models.training import loop
run = loop.run
loop.run = lambda *a, **k: run(*a, **{**k, "log_every": 1})
for train, config, stop_after in pickle.load(open(sys.argv[1], "rb")):
    train(config, stop_after=stop_after)
from vgps_models.icvf import MultilinearConfig
from vgps_models.perception.images import ImageConfig
from vgps_models.training import parallel
from vgps_models.training.augment import AugmentConfig
print("processes", parallel.processes(), "leads" if parallel.leads() else "follows", "accelerate" in sys.modules)
"""


def launch(folder: Path, jobs: list[Any], *launcher: str) -> str:
    (folder / "script.py").write_text(SCRIPT, encoding="utf-8")
    (folder / "jobs.pickle").write_bytes(pickle.dumps(jobs))
    command = [sys.executable, *launcher, str(folder / "script.py"), str(folder / "jobs.pickle")]
    done = subprocess.run(
        command, capture_output=True, encoding="utf-8", env={**os.environ, "OMP_NUM_THREADS": "1"}, timeout=280
    )
    assert done.returncode == 0, done.stderr[-4000:]
    return done.stdout


def free_port() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


@pytest.fixture(scope="module")
def trained(tmp_path_factory, scenes, episodes, encoder_file, policy_file, cache, small_encoder) -> tuple[Path, Path]:
    """Folders with what one and what two processes made of the same settings."""
    pytest.importorskip("accelerate")
    one, two = tmp_path_factory.mktemp("one"), tmp_path_factory.mktemp("two")
    on = {"data": episodes, "cache": cache, "threads": 1, "steps": 12, "save_every": 4}
    films = made_up(tmp_path_factory.mktemp("films") / "shards", "raw", VideoBench(size=32, videos=8))
    tiny = ResNetConfig(image_size=32, blocks=(1, 1), channels=8, sentence=384)

    def jobs(out: Path) -> dict[str, tuple[Any, Any]]:
        made = {
            "encoder": (train_encoder, EncoderTraining(
                data=scenes, threads=1, steps=12, save_every=4, batch=16, bf16="off", model=small_encoder,
            )),
            "policy": (train_policy, PolicyTraining(
                **on, encoder=str(encoder_file), batch=16, feature_noise=0.1, model={"width": 32, "depth": 2},
            )),
            "critic": (train_critic, CriticTraining(
                **on, policy=str(policy_file), batch=16, wrong_batch=8, samples=8, held_out=0.4, bf16="off",
                model=CriticConfig(width=32, words=8),
            )),
            "video": (train_video, VideoTraining(
                data=(films,), threads=1, steps=12, save_every=4, workers=0, bf16="off", held_out=0.2,
                image=ImageConfig(width=16, depth=1, maps=4, out=16), model=MultilinearConfig(widths=(16,), form=16),
                sampling=Sampling(batch=16, per_video=4, goals=2, goals_from="batch"),
                augment=AugmentConfig(0, 0, 0, 0, 0, 0),  # drawn by each process for its own frames
            )),
            "pixels": (train_pixels, PixelTraining(
                **on, policy=str(policy_file), batch=8, wrong_batch=4, held_out=0.4, bf16="off", resnet=tiny,
            )),
        }  # fmt: skip
        return {
            name: (train, replace(config, out=out / f"{name}.safetensors")) for name, (train, config) in made.items()
        }

    told = launch(one, [(train, config, None) for train, config in jobs(one).values()])
    assert told.splitlines() == ["processes 1 leads False"]
    in_two = [(train, config, None) for train, config in jobs(two).values()]
    for name in ("policy", "critic"):  # these are interrupted after 7 steps and go on in another call
        train, config = jobs(two)[name]
        broken = replace(config, out=two / f"{name}-resumed.safetensors")
        in_two += [(train, broken, 7), (train, broken, None)]
    told = launch(
        two, in_two, "-m", "accelerate.commands.launch", "--multi_gpu", "--num_processes", "2", "--num_machines", "1",
        "--mixed_precision", "no", "--dynamo_backend", "no", "--main_process_port", free_port(),
    )  # fmt: skip
    assert sorted(told.splitlines()) == ["processes 2 follows True", "processes 2 leads True"]
    return one, two


def losses(checkpoint: Path) -> list[float]:
    return [
        json.loads(line)["loss"]
        for line in checkpoint.with_suffix(".log.jsonl").read_text(encoding="utf-8").splitlines()
    ]


@pytest.mark.parametrize("name", NAMES)
def test_two_processes_train_what_one_does(trained, name):
    one, two = (folder / f"{name}.safetensors" for folder in trained)
    assert len(losses(one)) == 12 and np.allclose(losses(one), losses(two), rtol=WAVES if name == "video" else LOSSES)
    weights, others = load_file(one), load_file(two)
    assert set(weights) == set(others)
    apart = {key: float(np.abs(weights[key] - others[key]).max(initial=0)) for key in weights}
    assert max(apart.values()) < WEIGHTS, {k: v for k, v in apart.items() if v >= WEIGHTS}


@pytest.mark.parametrize("name", ["policy", "critic"])
def test_two_interrupted_processes_end_with_the_weights_of_two_that_were_not(trained, name):
    whole, resumed = (load_file(trained[1] / f"{name}{kind}.safetensors") for kind in ("", "-resumed"))
    assert all(np.array_equal(whole[key], resumed[key]) for key in whole)
    assert not list(trained[1].glob("*.resume.safetensors"))


@given(st.integers(1, 5), st.integers(1, 6), st.integers(1, 4), st.integers(0, 10**6))
def test_shared_noise_is_the_noise_of_the_whole_batch(processes, rows, width, seed):
    def drawn(count: int) -> list[torch.Tensor]:
        g = torch.Generator().manual_seed(seed)
        return [
            torch.randn(count, width, generator=g),
            torch.rand(torch.Size([count, width]), generator=g),
            torch.randn((count,), generator=g),
        ]

    parts = []
    for index in range(processes):
        with parallel._SharedDraws(processes, index):
            parts.append(drawn(rows))
    for whole, *shares in zip(drawn(rows * processes), *parts, strict=True):
        assert torch.equal(whole, torch.cat(shares))


def test_what_cannot_be_shared_is_refused(monkeypatch):
    with parallel._SharedDraws(2, 0), pytest.raises(SpecError, match=r"torch\.rand"):
        torch.randint(0, 3, (4,), generator=torch.Generator())
    rows = np.arange(10)
    assert parallel.share(rows) is rows
    monkeypatch.setattr(parallel, "_state", lambda: type("Three", (), {"num_processes": 3, "process_index": 1}))
    assert parallel.share(np.arange(9)).tolist() == [3, 4, 5]
    with pytest.raises(SpecError, match="multiple of 3"):
        parallel.share(rows)


def test_a_launcher_that_starts_one_process_of_several_is_told_how(monkeypatch):
    for name in parallel.SIZES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ACCELERATE_MIXED_PRECISION", "no")
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    with pytest.raises(SpecError, match="--multi_gpu"):
        parallel._state.__wrapped__()
