"""A recipe: one command that anybody can type, and what it makes. Whatever exists is kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

RUNS = Path("runs")


@dataclass(frozen=True)
class Recipe:
    """out: what is made, a checkpoint, another file or a folder. arguments: of `vgps`, without it.

    whole: the command writes its folder whole or not at all, so a folder that is there is finished.
    option: by which the command is told where to write.
    """

    out: Path
    arguments: tuple[str, ...]
    whole: bool = False
    option: str = "--out"

    @property
    def command(self) -> list[str]:
        return [*self.arguments, self.option, str(self.out)]

    @property
    def made(self) -> bool:
        """A folder that resumes by itself is never known to be finished; a checkpoint's card comes last."""
        if self.whole:
            return self.out.exists()
        card = self.out.with_suffix(".json") if self.out.suffix == ".safetensors" else self.out
        return bool(self.out.suffix) and self.out.exists() and card.exists()


def recipe(out: Path | str, words: str, *, whole: bool = False, option: str = "--out") -> Recipe:
    return Recipe(Path(out), tuple(words.split()), whole, option)
