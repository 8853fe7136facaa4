"""Text is read and written as UTF-8 in every locale: every call says so, and files from Windows are understood."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PLACES = ("models", "sim", "calibration", "vgps_node", "ros_ws", "launch", "docs", "tests", "bootstrap.py")
BINARY = {"av", "Image", "PIL.Image", "Picture", "os", "tarfile", "zipfile", "webbrowser"}  # whose `open` takes no text
OPENS = {"open": 1, "fdopen": 1, "NamedTemporaryFile": 0, "TemporaryFile": 0}  # where the mode stands


def sources() -> list[Path]:
    found = [
        path for place in PLACES for path in ([ROOT / place] if place.endswith(".py") else (ROOT / place).rglob("*.py"))
    ]
    return sorted(path for path in found if not {"build", "install", ".venv"} & set(path.parts))


def without_encoding(tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Calls that read or write text in the encoding of the locale."""
    for call in ast.walk(tree):
        if not isinstance(call, ast.Call):
            continue
        named = {keyword.arg: keyword.value for keyword in call.keywords}
        method = isinstance(call.func, ast.Attribute)
        name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        if "encoding" in named or None in named:
            continue
        if name in ("read_text", "write_text") and method:
            if len(call.args) < (1 if name == "read_text" else 2):
                yield call.lineno, name
        elif "text" in named or "universal_newlines" in named:
            if name in ("run", "Popen", "check_output", "check_call", "call"):
                yield call.lineno, f"{name} with text=True"
        elif name in OPENS and not (isinstance(call.func, ast.Attribute) and ast.unparse(call.func.value) in BINARY):
            at = 0 if method and name == "open" else OPENS[name]
            mode = named.get("mode") or (call.args[at] if len(call.args) > at else None)
            default = "r" if name in ("open", "fdopen") else "w+b"
            text = mode.value if isinstance(mode, ast.Constant) else default if mode is None else "b"
            if "b" not in str(text):
                yield call.lineno, name


def test_text_is_opened_with_its_encoding() -> None:
    found = {str(path.relative_to(ROOT)): list(without_encoding(ast.parse(path.read_bytes()))) for path in sources()}
    assert len(found) > 300
    where = "\n".join(f"  {path}:{line} {name}" for path, calls in found.items() for line, name in calls)
    assert not where, f'give encoding="utf-8", or "utf-8-sig" for files of other people:\n{where}'


@pytest.mark.parametrize(
    ("code", "count"),
    [
        ("p.read_text()", 1), ("p.read_text(encoding='utf-8')", 0), ("p.write_text(x, errors='replace')", 1),
        ("p.read_text('utf-8', 'replace')", 0), ("p.write_text(x, 'utf-8')", 0),
        ("open(p)", 1), ("open(p, 'rb')", 0), ("open(p, mode='w')", 1), ("open(p, 'w', encoding='utf-8')", 0),
        ("p.open()", 1), ("p.open('ab+')", 0), ("p.open('w')", 1), ("av.open(p)", 0), ("Image.open(p)", 0),
        ("os.fdopen(f, 'w')", 0), ("fdopen(f, 'w')", 1), ("NamedTemporaryFile()", 0), ("NamedTemporaryFile('w')", 1),
        ("run(c, text=True)", 1), ("subprocess.Popen(c, universal_newlines=True)", 1), ("run(c, check=True)", 0),
        ("run(c, encoding='utf-8')", 0), ("open(p, **how)", 0), ("draw.text(text=True)", 0),
    ],
)  # fmt: skip
def test_the_rule_finds_what_it_is_for(code: str, count: int) -> None:
    assert len(list(without_encoding(ast.parse(code)))) == count


READ = """
import sys
from pathlib import Path
import vgps_node
from vgps_models.contract import Contract
from vgps_models.data.lerobot_info import read_info
from vgps_models.rgbd.folder import _times
from vgps_models.video.sources.base import SourceOptions
from vgps_models.video.sources.files import words
folder = Path(sys.argv[1])
assert read_info(folder)["robot_type"] == "Kr\\xe4hen", read_info(folder)
assert words([folder / "task.txt"], SourceOptions()) == "M\\xf6hre \\xb1"
assert _times(folder / "times.csv") == {0: 0.5}
assert Contract.load(folder / "contract.yaml") == Contract.load()
print("\\xb1")
"""


@pytest.mark.parametrize("locale", ["C", "utf-8"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"], ids=["plain", "with a byte-order mark"])
def test_files_of_other_people_are_read_as_utf_8_in_every_locale(locale: str, mark: bytes, tmp_path: Path) -> None:
    from vgps_models.resources import launch_file

    (tmp_path / "meta").mkdir()
    (tmp_path / "meta" / "info.json").write_bytes(mark + '{"robot_type": "Kr\u00e4hen"}'.encode())
    (tmp_path / "task.txt").write_bytes(mark + "M\u00f6hre \u00b1\r\n".encode())
    (tmp_path / "times.csv").write_bytes(mark + b"number,seconds\r\n0,0.5\r\n")
    (tmp_path / "contract.yaml").write_bytes(
        mark + "# \u00e4\n".encode() + launch_file("config", "contract.yaml").read_bytes()
    )
    plain = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    environment = os.environ | (plain if locale == "C" else {"PYTHONUTF8": "1"})
    done = subprocess.run(
        [sys.executable, "-c", READ, str(tmp_path)], env=environment, capture_output=True, timeout=120
    )
    assert done.returncode == 0, done.stderr.decode(errors="replace")
    assert done.stdout.strip() == (b"+-" if locale == "C" else "\u00b1".encode())
