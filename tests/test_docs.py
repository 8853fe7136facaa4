"""Every `vgps` command in the documentation parses: its options exist, its names are known."""

import re
import shlex
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from doc_blocks import blocks

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
NEEDS = "needs ros2"  # marks what needs the command line of ROS 2


def commands() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        for block in (block for language in ("", "bash", "sh") for block in blocks(page, language)):
            lines = [line.strip() for line in block.splitlines()]
            found += [(page.name, line) for line in lines if re.match(r"(vgps|make|ros2) ", line)]
    return found


@pytest.mark.parametrize(("page", "line"), commands())
def test_commands_of_the_documentation_exist(page: str, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    if line.startswith("ros2 "):
        assert NEEDS in line, f"{page}: mark what needs the command line of ROS 2"
        return
    words = shlex.split(line, comments=True)
    if words[0] == "make":
        target = words[3] if words[1] == "-C" else words[1]
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(encoding="utf-8"), re.M), (
            f"{page}: no target {target}"
        )
        return
    from vgps_node.cli import main

    options = {word.split("=")[0] for word in words if word.startswith("--")}
    positional = [word for word in words[1:3] if not word.startswith("--")]
    positional = (
        positional if words[1] in ("train", "bench", "up", "data", "progress", "video", "reward") else positional[:1]
    )
    with pytest.raises(SystemExit) as left:
        main([*positional, "--help"])
    shown = capsys.readouterr().out
    assert left.value.code == 0, f"{page}: {line}"
    for option in options - {"--help"}:
        assert option in shown, f"{page}: {line}: no option {option}"


def anchors(page: Path) -> set[str]:
    """What a link may name behind #: the headings of a page, as GitHub writes them."""
    text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
    headings = [re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", heading) for heading in re.findall(r"^#+ (.+)$", text, re.M)]
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in headings}


def test_pages_link_to_what_exists() -> None:
    for page in PAGES:
        text = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
        for target, anchor in re.findall(r"\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)", text):
            found = page.parent / target if target else page
            assert found.exists(), f"{page.relative_to(ROOT)} links to {target}, which is not there"
            if anchor:
                assert anchor in anchors(found), f"{page.relative_to(ROOT)} links to {target}#{anchor}; no such heading"


def test_places_that_messages_and_comments_name_exist() -> None:
    """Code that names a page of the documentation names one that is there."""
    for folder in ("models", "sim", "calibration", "vgps_node", "launch"):
        for path in (ROOT / folder).rglob("*.py"):
            for name in re.findall(r"\bdocs/[\w/-]+\.md", path.read_text(encoding="utf-8")):
                assert (ROOT / name).exists(), f"{path.relative_to(ROOT)} names {name}, which is not there"
