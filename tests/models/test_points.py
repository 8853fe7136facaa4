"""Labelled pictures and the finder that learns from them."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vgps_models.checkpoint import CheckpointError
from vgps_models.errors import DataError, UnknownNameError
from vgps_models.keypoints.finder import PointConfig, PointFinder, PointNet, read_maps
from vgps_models.keypoints.pictures import Labelled, Pictures, write_pictures
from vgps_models.training.points import PointTraining, target_maps, train_points

CONFIG = PointConfig(points=("red", "green"), width=64, height=48, channels=(8, 8, 16, 16), merged=8)


def picture(rng: np.random.Generator) -> Labelled:
    """A red and a green disc on grey; now and then one is missing."""
    rgb = np.full((48, 64, 3), 90, np.uint8)
    v, u = np.mgrid[0:48, 0:64]
    pixels, shown = rng.uniform([6, 6], [57, 41], (2, 2)), rng.random(2) < 0.85
    for k, colour in enumerate(((230, 30, 30), (30, 220, 40))):
        if shown[k]:
            rgb[np.hypot(u - pixels[k, 0], v - pixels[k, 1]) < 4] = colour
    return Labelled(rgb, pixels, shown, np.array([0.01, 0.03]))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    root, rng = tmp_path_factory.mktemp("pictures"), np.random.default_rng(0)
    for shard in range(2):
        write_pictures(root / str(shard), CONFIG.points, [picture(rng) for _ in range(150)])
    return root


@settings(max_examples=80)
@given(st.floats(-0.5, 63.5), st.floats(-0.5, 47.5))
def test_maps_say_where_a_point_is(u, v):
    """What training is told is what is read: to a cell's rim, beyond which there are no cells."""
    target = target_maps(torch.tensor([[[u, v], [0.0, 0.0]]]), torch.tensor([[True, False]]), CONFIG)
    assert target.sum(-1) == pytest.approx(1)
    pixels, confidence = read_maps((target + 1e-12).log(), CONFIG)
    inside = np.clip([u, v], [1.5, 1.5], [61.5, 45.5])
    assert pixels[0, 0].numpy() == pytest.approx(inside, abs=1e-3)
    assert confidence[0].numpy() == pytest.approx([1, 0], abs=1e-5)


def test_a_finder_learns_and_is_the_same_when_it_is_read_again(folder, tmp_path):
    out = tmp_path / "points.safetensors"
    config = PointTraining(
        folder, out, steps=300, batch=16, rate=4e-3, threads=1, bf16=False, model=replace(CONFIG, points=())
    )
    assert train_points(config, stop_after=100) is None  # interrupted, and gone on with
    assert train_points(config) == out
    told = json.loads(out.with_suffix(".json").read_text())
    assert told["metrics"]["px_median"] < 2.5 and told["metrics"]["recall"] > 0.9 and told["metrics"]["made_up"] < 0.2
    find, rng = PointFinder.load(out), np.random.default_rng(7)
    assert find.names == ("red", "green") and find.under == pytest.approx([0.01, 0.03])
    shown = picture(rng)
    found = find(shown.rgb)
    both = find.every([shown.rgb, picture(rng).rgb])
    assert len(both) == 2 and both[0].pixels == pytest.approx(found.pixels, abs=1e-3)
    further = replace(config, out=tmp_path / "further.safetensors", start=str(out), steps=20, model=config.model)
    assert train_points(further) and PointFinder.load(further.out)(shown.rgb).pixels == pytest.approx(
        found.pixels, abs=3
    )
    assert (
        json.loads(further.out.with_suffix(".json").read_text())["settings"]["start_sha256"] == told["weights_sha256"]
    )
    with pytest.raises(DataError, match="other points, sizes or channels"):
        train_points(replace(further, model=replace(CONFIG, merged=16)))
    only = PointFinder.load(out, ("green",))(shown.rgb)
    assert only.pixels[0] == pytest.approx(found.pixels[1]) and only.confidence[0] == found.confidence[1]
    large = np.asarray(shown.rgb.repeat(4, 0).repeat(4, 1))
    assert (find(large).pixels + 0.5) / 4 - 0.5 == pytest.approx(found.pixels, abs=1.0)
    with pytest.raises(UnknownNameError, match="green, red"):
        PointFinder.load(out, ("blue",))
    with pytest.raises(DataError, match="uint8"):
        find(shown.rgb.astype(np.float32))  # type: ignore[arg-type]
    out.write_bytes(out.read_bytes()[:-9])
    with pytest.raises(CheckpointError, match="bytes; copy it again"):
        PointFinder.load(out)


def test_pictures_of_any_shape_are_fitted_in(folder):
    torch.manual_seed(0)
    find = PointFinder(PointNet(CONFIG))
    for shape in ((48, 64, 3), (100, 30, 3), (20, 200, 3), (1, 1, 3)):
        found = find(np.zeros(shape, np.uint8))
        assert np.isfinite(found.pixels).all() and ((found.confidence >= 0) & (found.confidence <= 1)).all()


def test_pictures_that_are_damaged_are_refused(folder, tmp_path):
    assert len(Pictures(folder)) == 300 and Pictures(folder).points == CONFIG.points
    with pytest.raises(DataError, match="vgps poses"):
        Pictures(tmp_path)
    rng = np.random.default_rng(1)
    write_pictures(tmp_path / "a", CONFIG.points, [picture(rng) for _ in range(3)])
    assert len(Pictures(tmp_path)) == 3
    write_pictures(tmp_path / "b", ("red", "blue"), [picture(rng)])
    with pytest.raises(DataError, match="other points"):
        Pictures(tmp_path)
    (tmp_path / "b" / "meta.json").unlink()
    np.save(tmp_path / "a" / "shown.npy", np.ones((2, 2), bool))
    with pytest.raises(DataError, match="not the 3 that"):
        Pictures(tmp_path)
    (tmp_path / "a" / "rgb.npy").write_bytes(b"half")
    with pytest.raises(DataError, match="cannot be read"):
        Pictures(tmp_path)
