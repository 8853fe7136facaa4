"""Sides of an evaluation: settings that can be written down, and checkpoints that fit each other."""

from __future__ import annotations

import json
from dataclasses import replace
from multiprocessing.reduction import ForkingPickler
from pathlib import Path

import pytest

from vgps_models import checkpoint
from vgps_models.errors import SpecError, UnknownNameError, VgpsError
from vgps_models.selection import Selection, SelectionError
from vgps_models.selection.trust import Trust
from vgps_models.steering import Steering
from vgps_node.conditions import Steered
from vgps_node.eval_config import EvalConfig

SIDE = Steered("policy", "critic", 10, Selection("softmax", beta=0.5))


def test_settings_are_plain_and_lead_back() -> None:
    settings = json.loads(json.dumps(SIDE.settings()))
    assert Steered.from_settings(settings) == SIDE
    assert settings["policy_sha256"] == checkpoint.read_card("policy").weights_sha256[:16]


def test_workers_can_make_the_controller() -> None:
    handed_over = ForkingPickler.loads(ForkingPickler.dumps(SIDE))  # pyright: ignore[reportAttributeAccessIssue]
    controller = handed_over()
    assert isinstance(controller, Steering)
    assert (controller.k, controller.selection) == (10, SIDE.selection)


def test_other_weights_are_other_settings() -> None:
    other = Steered("policy_success_only", "critic", 10, SIDE.selection)
    assert SIDE.settings()["policy_sha256"] != other.settings()["policy_sha256"]


def test_unknown_names_list_the_valid_ones() -> None:
    with pytest.raises(UnknownNameError, match="policy_success_only"):
        Steered("polcy", None, 1, Selection("first")).condition("x")
    with pytest.raises(SelectionError, match="needs a critic"):
        Steered("policy", None, 10, Selection("argmax")).condition("x")


@pytest.mark.parametrize(
    ("field", "change"), [("spec", {"max_translation": 0.05}), ("normaliser", {"low": [-9.0] * 7})]
)
def test_a_critic_of_another_action_is_refused_by_field(tmp_path: Path, field: str, change: dict[str, object]) -> None:
    source, copy = checkpoint.find("critic"), tmp_path / "critic.safetensors"
    copy.write_bytes(source.read_bytes())
    card = json.loads(source.with_suffix(".json").read_text(encoding="utf-8"))
    card[field] |= change
    copy.with_suffix(".json").write_text(json.dumps(card), encoding="utf-8")
    with pytest.raises(SpecError, match=next(iter(change))):
        Steered("policy", str(copy), 10, Selection()).condition("guided")


def test_a_threshold_of_trust_belongs_to_its_critic(tmp_path: Path) -> None:
    hashes = [checkpoint.read_card(name).weights_sha256 for name in ("policy", "critic")]
    file = tmp_path / "trust.json"
    Trust(1.5, 0.1, hashes[0], hashes[1], 10, SIDE.selection, (1.5,), (1.0, 1.0, 1.0)).save(file)
    assert SIDE.trusting(file).selection == replace(SIDE.selection, abstain=1.5)
    assert SIDE.trusting(file).settings()["abstain"] == 1.5
    with pytest.raises(SelectionError, match="policy"):
        replace(SIDE, policy="policy_success_only").trusting(file)
    with pytest.raises(SelectionError, match="k: 10 != 5"):
        replace(SIDE, k=5).trusting(file)


def test_sides_of_an_evaluation() -> None:
    sides = {c.name: c.settings for c in EvalConfig(sides=("bare", "guided", "random", "worst")).conditions()}
    assert [sides[name]["rule"] for name in sides] == ["first", Selection().rule, "random", "worst"]
    assert "domain" not in sides["bare"]
    knocked = EvalConfig(sides=("bare",), domain="knocked").conditions()[0]
    assert knocked.settings == {**sides["bare"], "domain": "knocked"}
    with pytest.raises(VgpsError, match="--trust"):
        EvalConfig(sides=("abstaining",)).conditions()
    with pytest.raises(VgpsError, match="needs a critic"):
        EvalConfig(critic="none", sides=("bare", "guided")).conditions()
    assert [c.name for c in EvalConfig(critic="none").conditions()] == ["bare"]
