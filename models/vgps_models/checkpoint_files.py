"""Where the files of a checkpoint lie, and what lies there instead. Needs no torch."""

from __future__ import annotations

import difflib
import json
from pathlib import Path

from vgps_models.errors import DataError, UnknownNameError
from vgps_models.files import wrong_weights

SHIPPED = Path(__file__).parent / "checkpoints"


class CheckpointError(DataError):
    """A checkpoint that must not be used; `field` says which part of it does not fit."""

    def __init__(self, path: Path | str, field: str, problem: str) -> None:
        super().__init__(f"checkpoint {path}: {field}: {problem}")
        self.field = field


def find(name: str | Path) -> Path:
    """A path, or the name of a shipped checkpoint -> its .safetensors file.

    Raises UnknownNameError for a name that none has, CheckpointError that says what lies at a path instead.
    """
    path = Path(name)
    suffixed = path.suffix == ".safetensors" or not path.name
    weights = path if suffixed else path.with_name(f"{path.name}.safetensors")
    bare = path.parent == Path(".")
    for candidate in (weights, SHIPPED / weights.name if bare else weights):
        if candidate.is_file():
            return candidate
    if not str(name).strip() or (bare and not suffixed and not path.exists() and not card_of(weights).exists()):
        shipped = sorted(file.stem for file in SHIPPED.glob("*.safetensors"))
        raise UnknownNameError("checkpoint", str(name), [*shipped, "<path to a .safetensors file>"])
    raise CheckpointError(path, *_instead(path, weights))


def _instead(path: Path, weights: Path) -> tuple[str, str]:
    """Where no weights are: the field that is wrong, and what is there."""
    if path.is_dir():
        there = ", ".join(sorted(file.name for file in path.glob("*.safetensors"))[:5])
        return "path", f"is a folder; give a file in it: {there}" if there else "is a folder without .safetensors files"
    if path.is_file() and path.suffix == ".json":
        return "path", f"is a card or another JSON file; give the weights: {path.with_suffix('.safetensors').name}"
    if path.is_file():
        what = wrong_weights(path)
        return "path", f"{what or 'is safetensors under another name'}; checkpoints end in .safetensors"
    if card_of(weights).exists():
        return "weights", f"are missing: {weights.name} belongs beside the card {card_of(weights).name}; copy both"
    if not path.parent.is_dir():
        return "path", f"does not exist, nor does its folder {path.parent}"
    near = difflib.get_close_matches(weights.stem, [file.stem for file in path.parent.glob("*.safetensors")], n=1)
    like = path.with_name(f"{near[0]}.safetensors") if near else None
    return "path", f"does not exist; did you mean {like}?" if like else "does not exist"


def card_of(weights: Path) -> Path:
    return weights.with_suffix(".json")


def without_card(weights: Path) -> str:
    """What a file of weights is that has no card."""
    if weights.stem.endswith(".resume"):
        return "this is where a training goes on from, not what it made; the same command ends it"
    what = wrong_weights(weights)
    return (
        "it belongs beside the weights; weights of other projects cannot be read"
        if what is None
        else f"and {weights.name} {what}"
    )


def instructions_of(name: str | Path) -> tuple[str, ...]:
    """The sentences that a checkpoint was trained with, by its card. Raises as `find` does, or CheckpointError."""
    path = card_of(find(name))
    try:
        return tuple(map(str, json.loads(path.read_text(encoding="utf-8"))["instructions"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise CheckpointError(path, "instructions", f"cannot be read ({error!r}); copy or train it again") from None
