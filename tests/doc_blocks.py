"""Code in the documentation, as tests need it."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent
HOW_TO = ROOT / "docs" / "how-to"


def blocks(page: Path, language: str) -> list[str]:
    """Fenced blocks of a language, "" for those without one."""
    fenced = re.findall(r"^```(\w*)\n(.*?)^```$", page.read_text(encoding="utf-8"), re.S | re.M)
    return [text for kind, text in fenced if kind == language]


def files(*pages: Path) -> dict[str, str]:
    """Python blocks of pages by the file name in their first line, `# NAME.py`."""
    found: dict[str, str] = {}
    for page in pages:
        for block in blocks(page, "python"):
            named = re.match(r"# (\w+\.py)\n", block)
            assert named, f"{page.name}: a Python block has no file name in its first line: {block[:40]!r}"
            assert named[1] not in found, f"{named[1]} is there twice"
            found[named[1]] = block
    return found
