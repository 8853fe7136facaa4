"""Every `vgps` command in the documentation parses: its options exist, its names are known."""

import re
import shlex
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
NEEDS = "needs ros2"  # marks what needs the command line of ROS 2


def commands() -> list[tuple[str, str]]:
    found = []
    for page in PAGES:
        for block in re.findall(r"^```(?:bash|sh)?\n(.*?)^```", page.read_text(), re.S | re.M):
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
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.M), f"{page}: no target {target}"
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


def test_pages_link_to_what_exists() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\((?!https?:|#)([^)#]+)", page.read_text()):
            assert (page.parent / target).exists(), f"{page.relative_to(ROOT)} links to {target}, which is not there"
