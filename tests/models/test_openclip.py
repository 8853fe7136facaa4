"""open_clip behind VLM-RM: a tiny model of random weights where the package is, and what is said where it is not."""

from __future__ import annotations

import importlib.util
import json
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from vgps_models.errors import DataError, MissingDependencyError, UnknownNameError
from vgps_models.progress import Clip
from vgps_models.progress.backends import BackendConfig, make_estimator
from vgps_models.progress.vlmrm import VLMRM, VLMRMConfig
from vgps_models.progress.vlmrm.openclip import OpenCLIP, OpenCLIPConfig

TASK = "put the spoon on the towel"
HERE = importlib.util.find_spec("open_clip") is not None
needs_open_clip = pytest.mark.skipif(not HERE, reason="open_clip is not installed: pip install 'vgps[vlmrm]'")
TINY = {
    "embed_dim": 16,
    "vision_cfg": {"image_size": 32, "layers": 2, "width": 64, "patch_size": 8},
    "text_cfg": {"context_length": 77, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 2},
}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> OpenCLIPConfig:
    """A model that open_clip knows by name, and a file of its weights."""
    import open_clip  # pyright: ignore[reportMissingImports]

    folder = tmp_path_factory.mktemp("clip")
    for name, config in (("tiny-clip", TINY), ("tinier-clip", TINY | {"embed_dim": 8})):
        (folder / f"{name}.json").write_text(json.dumps(config), encoding="utf-8")
        open_clip.add_model_config(folder / f"{name}.json")
    torch.manual_seed(0)
    weights = folder / "weights.safetensors"
    net = open_clip.create_model("tiny-clip")
    save_file({name: tensor.contiguous().clone() for name, tensor in net.state_dict().items()}, weights)
    return OpenCLIPConfig(model="tiny-clip", pretrained=str(weights), batch=3)


def clip(frames: int = 7) -> Clip:
    random = np.random.default_rng(0)
    views = {name: random.integers(0, 255, (frames, 40, 48, 3)).astype(np.uint8) for name in ("wrist", "front")}
    return Clip(views, TASK)


@needs_open_clip
def test_a_clip_is_judged_by_each_view(tiny):
    estimator = make_estimator(BackendConfig(backend="vlmrm", vlmrm=VLMRMConfig("open_clip", open_clip=tiny)))
    made = estimator.estimate(clip())
    assert made.values.shape == (7,) and np.ptp(made.values) > 0 and (made.spread > 0).all()
    assert ((made.values >= 0) & (made.values <= 1)).all() and made.source == "vlmrm:tiny-clip:weights:alpha=0.25"
    assert isinstance(estimator, VLMRM) and estimator.threshold is None


@needs_open_clip
def test_embeddings_are_unit_vectors_and_the_same_in_any_batch(tiny):
    one, all_ = OpenCLIP(replace(tiny, batch=1)), OpenCLIP(replace(tiny, batch=64))
    views = clip().views
    seen = all_.see(views)
    assert seen.shape == (2, 7, 16) and np.allclose(np.linalg.norm(seen, axis=-1), 1)
    assert np.allclose(one.see(views), seen, atol=1e-5)
    assert np.allclose(seen[0], all_.see({"front": views["front"]})[0], atol=1e-5)  # by name
    read = all_.read([TASK, "the spoon lies beside the towel"])
    assert read.shape == (2, 16) and np.allclose(np.linalg.norm(read, axis=-1), 1) and not np.allclose(*read)
    assert np.allclose(all_.read([TASK])[0], read[0], atol=1e-5)


@needs_open_clip
def test_goal_and_baseline_are_told_as_states(tiny):
    goals, baselines = VLMRM(OpenCLIP(tiny)).prompts.of(TASK)
    assert goals == ("the spoon is on the towel",) and baselines == ("the spoon lies beside the towel",)


@needs_open_clip
@pytest.mark.parametrize("damage", ["truncated", "of another model", "no weights", "no file", "no model"])
def test_weights_that_cannot_be_used_are_refused(tiny, tmp_path, damage):
    path, error, told = tmp_path / "weights.safetensors", DataError, "cannot be loaded"
    path.write_bytes(Path(tiny.pretrained).read_bytes()[:1000])
    config = replace(tiny, pretrained=str(path))
    if damage == "of another model":
        config = replace(tiny, model="tinier-clip")
    elif damage == "no weights":
        config, told = replace(tiny, pretrained=""), "which weights"
    elif damage == "no file":
        config, told = replace(tiny, pretrained=str(tmp_path / "nothing")), "neither a file"
    elif damage == "no model":
        config, error, told = replace(tiny, model="RN5O"), UnknownNameError, "RN50"
    with pytest.raises(error, match=told):
        OpenCLIP(config)


@needs_open_clip
def test_a_folder_with_its_own_configuration_is_read(tiny, tmp_path):
    (tmp_path / "open_clip_config.json").write_text(
        json.dumps({"model_cfg": TINY, "preprocess_cfg": {}}), encoding="utf-8"
    )
    with pytest.raises(DataError, match="cannot be loaded"):  # no weights in it yet
        OpenCLIP(OpenCLIPConfig(model=f"local-dir:{tmp_path}"))
    (tmp_path / "open_clip_model.safetensors").write_bytes(Path(tiny.pretrained).read_bytes())
    model = OpenCLIP(OpenCLIPConfig(model=f"local-dir:{tmp_path}"))
    assert np.allclose(model.read([TASK]), OpenCLIP(tiny).read([TASK]), atol=1e-6)


def test_without_the_package_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "open_clip", None)
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *a: None if name == "open_clip" else found(name, *a))
    with pytest.raises(MissingDependencyError, match=r"vgps\[vlmrm\]"):
        make_estimator(BackendConfig(backend="vlmrm", vlmrm=VLMRMConfig("open_clip")))
