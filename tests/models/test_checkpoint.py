"""Checkpoints: what is loaded is what was saved, and whatever does not fit is refused by name."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors

from vgps_models import checkpoint
from vgps_models.checkpoint import CheckpointError
from vgps_models.errors import SpecError, UnknownNameError, VgpsError
from vgps_models.files import wrong_weights
from vgps_models.keypoints.finder import PointFinder
from vgps_models.spaces import ActionSpec

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
    with pytest.raises(CheckpointError, match="weights") as caught:
        LOADERS[kind](path)
    assert caught.value.field == "weights"


@pytest.mark.parametrize("kind", sorted(LOADERS))
def test_a_flipped_bit_is_refused(files, kind):
    path = files[kind]
    content = bytearray(path.read_bytes())
    content[-5] ^= 1
    path.write_bytes(content)
    with pytest.raises(CheckpointError, match="weights"):
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


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 4\n"
TENSOR = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}
CARD = {"format": checkpoint.FORMAT, "kind": "policy", "architecture": {"encoder": {}, "policy": {}}}


def header(tensors: dict) -> bytes:
    text = json.dumps(tensors).encode()
    return len(text).to_bytes(8, "little") + text


WRONG_WEIGHTS = {
    "empty": (b"", "the file is empty"),
    "pointer": (POINTER.encode(), "is a Git LFS pointer, not the file itself; fetch it: git lfs pull"),
    "annex": (b"/annex/objects/SHA256E-s1--a", "git-annex"),
    "web page": (b"\n<!DOCTYPE html><html>not found</html>", "is a web page"),
    "torch": (b"PK\x03\x04" + bytes(100), "as torch.save writes"),
    "pickle": (b"\x80\x04\x95" + bytes(100), "is a pickle, which runs code"),
    "keras": (b"\x89HDF\r\n" + bytes(100), "HDF5"),
    "text": (b"not weights at all", "is no safetensors file"),
    "zeros": (bytes(100), "is no safetensors file"),
    "five bytes": (b"\x10\0\0\0\0", "is cut off after 5 bytes"),
    "half a header": (header({"a": TENSOR})[:30], "is cut off after 30"),
    "no tensors": (header({"a": TENSOR}), "bytes; copy it again"),
    "odd header": (header({"a": {"data_offsets": "none"}}), "has a damaged header"),
    "other weights": (header({"a": TENSOR}) + bytes(4), "their sha256"),
}  # fmt: skip


@pytest.mark.parametrize(("content", "said"), WRONG_WEIGHTS.values(), ids=WRONG_WEIGHTS)
def test_what_lies_where_weights_were_expected_is_said(files, content, said):
    files["policy"].write_bytes(content)
    for ask in (checkpoint.load_policy, lambda name: checkpoint.verify(name, "policy")):
        with pytest.raises(CheckpointError, match=re.escape(said)) as caught:
            ask(files["policy"])
        assert caught.value.field == "weights" and str(files["policy"]) in str(caught.value)


WRONG_CARDS = {
    "pointer": (POINTER, "card: is a Git LFS pointer"),
    "no JSON": ("{,}", "is not JSON"),
    "deep": ("[" * 100_000, "is not JSON"),
    "newer": ('{"format": "vgps-checkpoint-2"}', "format: is 'vgps-checkpoint-2'.*update vgps"),
    "other": ('{"format": 3}', "format: is 3; this version reads 'vgps-checkpoint-1'$"),
    "no kind": ('{"format": "vgps-checkpoint-1"}', "does not hold what it must"),
    "a list": ('{"format": "vgps-checkpoint-1", "kind": "policy", "architecture": []}', "card|weights"),
    "empty": (json.dumps(CARD), "weights: their sha256"),
}


@pytest.mark.parametrize(("text", "said"), WRONG_CARDS.values(), ids=WRONG_CARDS)
def test_a_card_that_is_none_is_named(files, text, said):
    files["policy"].with_suffix(".json").write_text(text)
    with pytest.raises(CheckpointError, match=said):
        checkpoint.load_policy(files["policy"])


@pytest.mark.parametrize("kind", sorted(LOADERS))
@pytest.mark.parametrize("part", ["architecture", "encoder", "config", "sentences"])
def test_a_card_that_does_not_describe_its_weights_is_refused(files, kind, part):
    path = files[kind].with_suffix(".json")
    data = json.loads(path.read_text())
    if part == "architecture":
        data["architecture"] = {}
    elif part == "encoder":
        data["architecture"]["encoder"] = {"channels": "many"}
    elif part == "config":
        data["architecture"] = {name: {"odd": 1} for name in data["architecture"]}
    else:
        data["instructions"] = ["one", *data["instructions"]]
    path.write_text(json.dumps(data))
    if (kind, part) == ("encoder", "sentences"):
        return  # nobody asks an encoder for sentences before it is trained on
    with pytest.raises(CheckpointError, match=r"does not (describe|fit) the weights"):
        LOADERS[kind](files[kind])


def test_what_lies_elsewhere_is_said(files, tmp_path):
    policy = files["policy"]
    shutil.copy(policy, tmp_path / "weights.bin")
    (tmp_path / "torch.pt").write_bytes(b"PK\x03\x04" + bytes(50))
    (tmp_path / "alone.safetensors").write_bytes(policy.read_bytes())
    (tmp_path / "cut.safetensors").write_bytes(policy.read_bytes()[:99])
    (tmp_path / "run.resume.safetensors").write_bytes(policy.read_bytes())
    shutil.copy(policy.with_suffix(".json"), tmp_path / "card.json")
    (tmp_path / "empty").mkdir()
    for name, said in (
        (tmp_path, "path: is a folder; give a file in it: .*policy"),
        (tmp_path / "empty", "is a folder without .safetensors files"),
        (tmp_path / "weights.bin", "is safetensors under another name; checkpoints end in .safetensors"),
        (tmp_path / "torch.pt", "as torch.save writes .*checkpoints end in .safetensors"),
        (tmp_path / "alone.safetensors", "alone.json: card: is missing; it belongs beside the weights"),
        (tmp_path / "cut.safetensors", "cut.json: card: is missing; and cut.safetensors has|is cut off"),
        (tmp_path / "run.resume.safetensors", "this is where a training goes on from"),
        (tmp_path / "card.safetensors", "weights: are missing: card.safetensors belongs beside the card card.json"),
        (tmp_path / "card", "weights: are missing"),
        (tmp_path / "card.json", "give the weights: card.safetensors"),
        (tmp_path / (policy.stem[:-1] + ".safetensors"), f"does not exist; did you mean .*{policy.name}"),
        (tmp_path / "none" / "a.safetensors", "does not exist, nor does its folder"),
        ("zzz.safetensors", "path: does not exist"),
    ):
        with pytest.raises(CheckpointError, match=said):
            checkpoint.read_card(name)
    for name in ("polcy", "", " "):
        with pytest.raises(UnknownNameError, match="policy_success_only"):
            checkpoint.find(name)


def test_verifying_is_what_loading_asks(files):
    for kind, file in files.items():
        assert checkpoint.verify(file, kind) == checkpoint.read_card(file)
        for other in set(files) - {kind}:
            shipped = f"; shipped of that kind: .*{other}"
            with pytest.raises(CheckpointError, match=f"kind: is '{kind}', not '{other}'{shipped}"):
                checkpoint.verify(file, other)


@settings(deadline=None, max_examples=150)
@given(st.binary(max_size=200), st.integers(0, 200))
def test_weights_may_be_any_bytes(data, size):
    whole = header({"a": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]}}) + bytes(8)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "a.safetensors"
        for content in (data, whole[:size] + data, whole):
            path.write_bytes(content)
            assert (wrong_weights(path) is None) == (content == whole) or _loads(content)


def _loads(content: bytes) -> bool:
    """Bytes that happen to be whole."""
    try:
        return bool(load_tensors(content)) or True
    except SafetensorError:
        return False


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
