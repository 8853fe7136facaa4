"""What people typed is shown as they typed it: no console turns ":on:" into a picture."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
ROOMS = ("models", "sim", "calibration", "vgps_node")
SOURCES = [path for name in ROOMS for path in sorted((ROOT / name).rglob("*.py"))]


def test_every_console_leaves_words_between_colons_alone() -> None:
    found = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_bytes())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", getattr(node.func, "attr", "")) == "Console":
                settings = {k.arg: k.value for k in node.keywords}
                off = settings.get("emoji")
                found.append((path, node.lineno, isinstance(off, ast.Constant) and off.value is False))
    assert len(found) > 20
    assert not [f"{path.relative_to(ROOT)}:{line}" for path, line, good in found if not good]
