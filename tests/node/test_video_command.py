"""`vgps video` and `vgps bench video` from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image as Picture

from vgps_node.cli import main


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("films") / "films"
    for clip in range(3):
        (root / f"clip{clip}").mkdir(parents=True)
        for number in range(7):
            image = np.full((24, 32, 3), 30 * number + clip, np.uint8)
            Picture.fromarray(image).save(root / f"clip{clip}" / f"{number:04d}.png")
        (root / f"clip{clip}" / "task.txt").write_text(f"task {clip}", encoding="utf-8")
    (root / "bad.mp4").write_bytes(b"")
    return root


def pack(films: Path, out: Path, *more: str) -> int:
    return main(["video", "pack", str(films), "--out", str(out), "--size", "16", "--frame-hz", "10", *more])


def test_pack_info_and_sheet(films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, told = tmp_path / "shards", tmp_path / "told.json"
    assert pack(films, out, "--processes", "1", "--json", str(told)) == 0
    shown = " ".join(capsys.readouterr().out.split())
    assert "4 recordings read, 0 were there already" in shown and "problem, empty: 1" in shown and "bad.mp4" in shown
    numbers = json.loads(told.read_text(encoding="utf-8"))
    assert numbers["videos"] == 3 and numbers["frames"] == 12 and numbers["kinds"] == {"empty": 1}
    assert numbers["sources"]["films"]["videos"] == 3 and numbers["with_text"] == 3 and numbers["form"]["size"] == 16
    assert pack(films, out, "--processes", "2") == 0
    assert "0 recordings read, 4 were there already" in " ".join(capsys.readouterr().out.split())
    assert main(["video", "info", str(out), "--verify", "--json", str(tmp_path / "info.json")]) == 0
    assert json.loads((tmp_path / "info.json").read_text(encoding="utf-8"))["sha256"] == numbers["sha256"]
    picture = tmp_path / "sheet.png"
    assert main(["video", "sheet", str(out), "--out", str(picture), "--videos", "0", "2", "--columns", "3"]) == 0
    with Picture.open(picture) as image:
        assert image.format == "PNG" and image.width > 3 * 16


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        (["pack", "{films}", "--fit", "stretch"], 2, "letterbox"),
        (["pack", "{films}", "--views", "side"], 2, "camera"),
        (["pack", "film:{films}"], 2, "ego4d"),
        (["pack", "nowhere"], 1, "does not exist"),
        (["info", "{films}"], 1, "vgps video pack"),
        (["sheet", "{shards}", "--videos", "9"], 1, "0 .. 2"),
    ],
)
def test_what_cannot_be_done_is_told(
    films: Path, tmp_path: Path, arguments: list[str], code: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    shards = tmp_path / "shards"
    assert pack(films, shards, "--processes", "1") == 0
    more = ["--out", str(tmp_path / "x")] if arguments[0] == "pack" else []
    assert main(["video", *(a.format(films=films, shards=shards) for a in arguments), *more]) == code
    assert told in capsys.readouterr().err.replace("\n", " ")


def test_damage_makes_the_exit_code_one(films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "shards"
    pack(films, out, "--processes", "1")
    frames = max(out.glob("*.frames"), key=lambda path: path.stat().st_size)
    frames.write_bytes(bytes(frames.stat().st_size))
    assert main(["video", "info", str(out)]) == 0
    assert main(["video", "info", str(out), "--verify"]) == 1
    assert "not what was packed" in capsys.readouterr().out.replace("\n", " ")


def test_the_bench_writes_its_numbers(films: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, told = tmp_path / "shards", tmp_path / "bench.json"
    pack(films, out, "--processes", "1")
    arguments = ["--data", str(out), "--batch", "4", "--steps", "3", "--workers", "0", "--consumer", "none"]
    assert main(["bench", "video", *arguments, "--json", str(told)]) == 0
    assert json.loads(told.read_text(encoding="utf-8"))["data"]["ways"]["0 processes"]["frames_per_s"] > 0
    assert "machine" in json.loads(told.read_text(encoding="utf-8"))
    assert main(["bench", "video", "--consumer", "ghost"]) == 2 and "encoder" in capsys.readouterr().err


def test_reading_packing_and_sampling_need_neither_torch_nor_ros() -> None:
    code = (
        "import importlib, pkgutil, sys\n"
        "import vgps_models.video as room\n"
        "for module in pkgutil.walk_packages(room.__path__, room.__name__ + '.'):\n"
        "    importlib.import_module(module.name)\n"
        "    loaded = {'torch', 'rclpy', 'tensorflow'} & set(sys.modules)\n"
        "    assert not loaded, f'{module.name} loads {loaded}'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
