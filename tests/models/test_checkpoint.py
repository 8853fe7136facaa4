"""Checkpoints: what is loaded is what was saved, and whatever does not fit is refused by name."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from vgps_models import checkpoint
from vgps_models.checkpoint import CheckpointError
from vgps_models.errors import SpecError, UnknownNameError, VgpsError
from vgps_models.keypoints.finder import PointFinder
from vgps_models.spaces import ActionSpec

pytestmark = pytest.mark.numerical

LOADERS = {"policy": checkpoint.load_policy, "critic": checkpoint.load_critic, "encoder": checkpoint.load_encoder}


@pytest.fixture
def files(encoder_file, policy_file, critic_file, tmp_path):
    """Copies that a test may damage: kind -> path."""
    out = {}
    for kind, path in {"encoder": encoder_file, "policy": policy_file, "critic": critic_file}.items():
        for suffix in (".safetensors", ".json"):
            shutil.copy(path.with_suffix(suffix), tmp_path)
        out[kind] = tmp_path / path.name
    return out


@pytest.mark.parametrize("kind", sorted(LOADERS))
def test_a_card_says_how_it_was_made(files, kind):
    card = checkpoint.read_card(files[kind])
    assert card.kind == kind and len(card.weights_sha256) == len(card.data_sha256) == 64
    assert card.command and card.git and card.settings["steps"] and card.metrics
    assert checkpoint.Card.from_json(json.loads(json.dumps(card.to_json()))) == card
    if kind != "encoder":
        assert card.spec == ActionSpec() and card.normaliser is not None
        assert "put the spoon on the towel" in card.instructions


@pytest.mark.parametrize("kind", sorted(LOADERS))
@pytest.mark.parametrize("keep", [0, 10, 0.5, -1])
def test_a_truncated_file_is_refused(files, kind, keep):
    path = files[kind]
    content = path.read_bytes()
    path.write_bytes(content[: int(keep * len(content)) if isinstance(keep, float) else keep])
    with pytest.raises(CheckpointError, match="weights_sha256") as caught:
        LOADERS[kind](path)
    assert caught.value.field == "weights_sha256"


@pytest.mark.parametrize("kind", sorted(LOADERS))
def test_a_flipped_bit_is_refused(files, kind):
    path = files[kind]
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="weights_sha256"):
        LOADERS[kind](path)


@pytest.mark.parametrize("kind", sorted(LOADERS))
def test_another_kind_is_refused(files, kind):
    for other in set(LOADERS) - {kind}:
        with pytest.raises(CheckpointError, match="kind"):
            LOADERS[kind](files[other])


@pytest.mark.parametrize("field", ["max_translation", "horizon", "arm", "control_hz"])
def test_another_action_spec_is_refused_by_field(files, field):
    spec = replace(ActionSpec(), **{field: {"arm": "wx250s"}.get(field, 9)})
    for load in (checkpoint.load_policy, checkpoint.load_critic):
        with pytest.raises(SpecError, match=field):
            load(files["policy" if load is checkpoint.load_policy else "critic"], spec=spec)


def test_a_card_that_does_not_fit_the_weights_is_refused(files):
    path = files["critic"].with_suffix(".json")
    data = json.loads(path.read_text())
    data["architecture"]["critic"]["width"] = 64
    path.write_text(json.dumps(data))
    with pytest.raises(CheckpointError, match=r"architecture\.critic"):
        checkpoint.load_critic(files["critic"])


@pytest.mark.parametrize("text", ["", "{", "[]", '{"format": "other"}', '{"format": "vgps-checkpoint-1"}'])
def test_a_broken_card_is_refused(files, text):
    files["policy"].with_suffix(".json").write_text(text)
    with pytest.raises(CheckpointError):
        checkpoint.load_policy(files["policy"])


def test_a_missing_card_is_refused(files):
    files["policy"].with_suffix(".json").unlink()
    with pytest.raises(CheckpointError, match="missing"):
        checkpoint.load_policy(files["policy"])


def test_an_unknown_name_lists_the_shipped_ones():
    with pytest.raises(UnknownNameError) as caught:
        checkpoint.load_policy("no_such_policy")
    assert all(name in str(caught.value) for name in checkpoint.shipped())


def test_a_path_may_leave_the_suffix_out(files):
    assert checkpoint.find(files["policy"].with_suffix("")) == files["policy"]


def test_loading_twice_gives_the_same_policy(files, observe):
    one, two = (checkpoint.load_policy(files["policy"]).sample(observe(0), 3).chunks for _ in range(2))
    assert np.array_equal(one, two)


@pytest.mark.parametrize("name", checkpoint.shipped())
def test_shipped_checkpoints_are_whole_and_small(name):
    card = checkpoint.read_card(name)
    loaders = LOADERS | {"progress": checkpoint.load_progress, "imagetext": checkpoint.load_imagetext}
    loaders |= {"points": PointFinder.load}
    loaders[card.kind](name)
    assert checkpoint.find(name).stat().st_size < 10e6
    assert card.git != "unknown" and card.command


def test_every_error_is_one_of_ours():
    assert issubclass(CheckpointError, VgpsError)
