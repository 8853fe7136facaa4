"""What is not finite is never saved; a training that diverged says what to change, and goes on once it was changed."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from torch import nn

from vgps_models import checkpoint
from vgps_models.critics.network import CriticConfig
from vgps_models.errors import VgpsError
from vgps_models.perception.language import Language
from vgps_models.training import course, critic, encoder, loop
from vgps_models.training.critic import CriticTraining, train_critic
from vgps_models.training.encoder import EncoderTraining, train_encoder
from vgps_models.training.policy import PolicyTraining, train_policy
from vgps_models.training.provenance import Fingerprint
from vgps_models.training.resume import DivergedError, Resume

HUGE = 1e30  # a learning rate that no network survives


@pytest.fixture
def trainings(scenes, small_encoder, encoder_file, policy_file, episodes, cache, tmp_path):
    """name -> (train, config) with a healthy rate."""
    out = tmp_path / "it.safetensors"
    return {
        "encoder": (
            train_encoder,
            EncoderTraining(
                data=scenes, out=out, bf16="off", steps=30, batch=16, threads=1, save_every=2, model=small_encoder
            ),
        ),
        "critic": (
            train_critic,
            CriticTraining(
                data=episodes, policy=str(policy_file), out=out, cache=cache, samples=4, wrong_batch=8, bf16="off",
                steps=30, batch=16, threads=1, save_every=2, model=CriticConfig(width=32, words=8),
            ),
        ),
        "policy": (
            train_policy,
            PolicyTraining(
                data=episodes, encoder=str(encoder_file), out=out, cache=cache, steps=30, batch=16, threads=1,
                save_every=2, model={"width": 32, "depth": 2, "words": 8},
            ),
        ),
    }  # fmt: skip


def all_finite(path: Path) -> bool:
    with safe_open(path, framework="pt") as file:
        return all(bool(file.get_tensor(key).double().isfinite().all()) for key in file.keys())  # noqa: SIM118


@pytest.mark.parametrize("name", ["encoder", "critic", "policy"])
def test_a_huge_rate_ends_with_what_to_change_and_is_not_repeated(trainings, name, tmp_path, monkeypatch):
    train, config = trainings[name]
    with pytest.raises(VgpsError, match=r"diverged at update \d+ of 30: .*lower --rate \(now 1e\+30\)") as first:
        train(replace(config, rate=HUGE))
    assert not config.out.exists() and all(all_finite(p) for p in tmp_path.glob("*.safetensors"))
    with monkeypatch.context() as still:
        still.setattr(course.Course, "update", lambda *_: pytest.fail("it was trained again"))
        with pytest.raises(VgpsError, match="no setting was changed since") as again:
            train(replace(config, rate=HUGE))
    assert str(again.value).startswith(str(first.value))
    assert train(config) == config.out and all_finite(config.out)
    assert {p.name for p in tmp_path.glob("it.*")} >= {"it.safetensors", "it.json"}
    assert not (tmp_path / "it.diverged.json").exists() and not (tmp_path / "it.resume.safetensors").exists()


def poison(monkeypatch, trainer: type, steps: range) -> None:
    """Make the losses of these updates NaN, as a bad batch would."""
    real = trainer.step

    def step(self, number: int):
        with monkeypatch.context() as patch:
            if number in steps:
                descend = loop.descend
                patch.setattr(loop, "descend", lambda o, p, loss, **how: descend(o, p, loss * float("nan"), **how))
            return real(self, number)

    monkeypatch.setattr(trainer, "step", step)


@pytest.mark.parametrize(("name", "trainer"), [("encoder", encoder._Trainer), ("critic", critic.Trainer)])
def test_it_goes_on_from_the_last_finite_state(trainings, name, trainer, tmp_path, monkeypatch, capsys):
    train, config = trainings[name]
    with monkeypatch.context() as patch:
        poison(patch, trainer, range(7, 30))
        with pytest.raises(
            DivergedError, match=r"update 17 of 30: .*after 6 updates, is kept in it\.resume\.safetensors"
        ):
            train(config)
    assert all_finite(tmp_path / "it.resume.safetensors")
    note = json.loads((tmp_path / "it.diverged.json").read_text(encoding="utf-8"))
    assert note["settings"] == {k: v for k, v in vars(config).items() if k in ("rate", "encoder_rate", "bf16")}
    with pytest.raises(DivergedError, match="no setting was changed"):
        train(config)
    capsys.readouterr()
    slower = replace(config, rate=config.rate / 2)
    assert train(slower, stop_after=2) is None and "resumed at step 6 of 30" in capsys.readouterr().err
    assert train(slower) == config.out and "resumed at step 8 of 30" in capsys.readouterr().err
    assert all_finite(config.out)


def test_a_state_from_which_nothing_succeeds_is_set_aside(trainings, tmp_path, monkeypatch):
    train, config = trainings["encoder"]
    with monkeypatch.context() as patch:
        poison(patch, encoder._Trainer, range(7, 30))
        with pytest.raises(DivergedError):
            train(config)
        poison(patch, encoder._Trainer, range(30))
        with pytest.raises(DivergedError, match=r"set aside as it\.diverged\.safetensors; the same command now starts"):
            train(replace(config, rate=config.rate / 2))
    assert all_finite(tmp_path / "it.diverged.safetensors") and not (tmp_path / "it.resume.safetensors").exists()
    assert train(replace(config, rate=config.rate / 2)) == config.out


def test_other_rates_of_a_sound_training_start_afresh(trainings, capsys):
    train, config = trainings["encoder"]
    train(config, stop_after=4)
    before = config.out.with_suffix(".resume.safetensors").read_bytes()
    train(replace(config, rate=config.rate / 2), stop_after=1)
    assert "was renamed to it.other.safetensors" in capsys.readouterr().err
    assert config.out.with_suffix(".other.safetensors").read_bytes() == before  # nothing is lost


def test_one_update_that_is_not_finite_is_left_out(trainings, tmp_path, monkeypatch):
    train, config = trainings["encoder"]
    poison(monkeypatch, encoder._Trainer, range(5, 5 + course.BAD_UPDATES - 1))
    assert train(config) == config.out and all_finite(config.out)


def test_data_that_is_not_finite_is_named_as_a_cause(trainings, monkeypatch):
    train, config = trainings["encoder"]
    poison(monkeypatch, encoder._Trainer, range(30))
    with pytest.raises(DivergedError, match="not one update succeeded: look for values in the data"):
        train(config)


@pytest.mark.parametrize("where", ["weights", "average", "optimiser"])
def test_no_part_of_a_state_is_saved_unless_it_is_finite(where, tmp_path):
    class Trainable:
        net, average = nn.Linear(2, 1), nn.Linear(2, 1)
        modules = {"net": net, "average": average}  # noqa: RUF012
        optimiser = torch.optim.AdamW(net.parameters(), 1e-2)

    it, resume = Trainable(), Resume(tmp_path / "it.safetensors", Fingerprint("x"))
    it.net(torch.ones(1, 2)).sum().backward()
    it.optimiser.step()
    resume.save(it, 1)
    sound = resume.state.read_bytes()
    parameter = next(it.net.parameters())
    tensor = {
        "weights": parameter.data, "average": next(it.average.parameters()).data,
        "optimiser": it.optimiser.state[parameter]["exp_avg_sq"],
    }[where]  # fmt: skip
    tensor.view(-1)[0] = float("inf")
    with pytest.raises(DivergedError, match="is not finite after 2 updates"):
        resume.save(it, 2)
    assert resume.state.read_bytes() == sound and [p.name for p in tmp_path.iterdir()] == ["it.resume.safetensors"]


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
def test_a_checkpoint_that_is_not_finite_is_refused(encoder_file, value, tmp_path):
    card, eyes = checkpoint.load_encoder(encoder_file)
    out = tmp_path / "it.safetensors"
    with torch.no_grad():
        eyes.views[0].convs[0].weight[0, 0, 0, 0] = value  # type: ignore[union-attr,index]
    with pytest.raises(checkpoint.CheckpointError, match=re.escape("encoder.views.0.convs.0.weight is not finite")):
        checkpoint.save(out, card, {"encoder": eyes}, Language())
    assert not list(tmp_path.iterdir())
