"""Which printed markers there are, what wears them and which of them lie on the table.

A marker's frame, and that of a board: in its middle, x to the right and y up on the paper as it is read, z out of it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from scipy.spatial.transform import Rotation

from vgps_models.errors import SpecError
from vgps_models.spaces import Array

Vector = tuple[float, float, float]
KEYS = ("dictionary", "edge", "things", "board", "table", "base")
FORM = """dictionary: APRILTAG_36h11
edge: 0.05
things: {carrot: 40, plate: {id: 41, offset: [0, 0, -0.01]}}
board: {squares: [7, 5], square: 0.032, marker: 0.024, first: 0}
base: {position: [-0.3, 0, 0], rotation_deg: [0, 0, 90]}"""


@dataclass(frozen=True)
class Worn:
    """A marker that a thing wears; the thing's axes are those of the marker."""

    id: int
    offset: Vector = (0.0, 0.0, 0.0)  # [m] of the thing's middle in the marker's frame


@dataclass(frozen=True)
class Board:
    """A ChArUco board: a chessboard, black in its upper left corner, with markers in its white squares."""

    squares: tuple[int, int]  # to the right, and down
    square: float  # [m] edge of a square
    marker: float  # [m] edge of a marker in it
    first: int = 0  # id of the first marker; the others follow, row by row

    def __post_init__(self) -> None:
        if min(self.squares) < 3 or not 0 < self.marker < self.square or self.first < 0:
            raise SpecError(f"{self}: a board has 3 x 3 squares or more, markers smaller than them, and ids from 0 on")

    @property
    def ids(self) -> range:
        return range(self.first, self.first + self.squares[0] * self.squares[1] // 2)

    @property
    def size(self) -> tuple[float, float]:
        """Width and height [m]."""
        return self.squares[0] * self.square, self.squares[1] * self.square


@dataclass(frozen=True)
class Base:
    """Where the base frame is in that of the board, or of the marker, on the table."""

    position: Vector = (0.0, 0.0, 0.0)  # [m]
    rotation_deg: Vector = (0.0, 0.0, 0.0)  # [deg] rotation vector: the axis, as long as the angle

    @property
    def pose(self) -> Array:
        """(4, 4)"""
        made = np.eye(4)
        made[:3, :3] = Rotation.from_rotvec(self.rotation_deg, degrees=True).as_matrix()
        made[:3, 3] = self.position
        return made


@dataclass(frozen=True)
class MarkerSet:
    dictionary: str = "APRILTAG_36h11"  # any predefined one of OpenCV
    edge: float = 0.05  # [m] of the black square of a marker, but for those in the board
    things: Mapping[str, Worn] = field(default_factory=dict)
    board: Board | None = None  # on the table
    table: int | None = None  # or a single marker there
    base: Base = field(default_factory=Base)

    def __post_init__(self) -> None:
        if not self.edge > 0:
            raise SpecError(f"edge {self.edge} is the length of a marker [m], above 0")
        if self.board is not None and self.table is not None:
            raise SpecError("either a board or a single marker `table` says where the base is, not both")
        if not self.things and self.board is None and self.table is None:
            raise SpecError("no marker is named: give `things`, a `board` or a `table`")
        single = [worn.id for worn in self.things.values()] + ([] if self.table is None else [self.table])
        if min(single, default=0) < 0:
            raise SpecError(f"ids of markers {sorted(single)} begin at 0")
        if twice := sorted({i for i in single if single.count(i) > 1 or (self.board and i in self.board.ids)}):
            raise SpecError(
                f"markers {twice} are used twice"
                + (f"; the board has {self.board.ids.start} .. {self.board.ids.stop - 1}" if self.board else "")
                + "; give every thing another id"
            )

    @property
    def ids(self) -> int:
        """How many markers a dictionary must have."""
        ids = [worn.id for worn in self.things.values()] + ([] if self.table is None else [self.table])
        return 1 + max(ids + ([self.board.ids[-1]] if self.board else []))

    @classmethod
    def read(cls, path: Path) -> MarkerSet:
        """From a YAML file. Raises SpecError that names the file, what is wrong and what is valid."""
        try:
            data = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
            raise SpecError(f"{path} cannot be read as a set of markers: {error}\nIts form:\n{FORM}") from error
        return cls.of(data, str(path))

    @classmethod
    def of(cls, data: Any, source: str) -> MarkerSet:
        """From what a YAML file holds."""
        try:
            top = _mapping(data, "the file", KEYS)
            made: dict[str, Any] = {}
            if "dictionary" in top:
                made["dictionary"] = _text(top["dictionary"], "dictionary")
            if "edge" in top:
                made["edge"] = _number(top["edge"], "edge")
            if "things" in top:
                things = _mapping(top["things"], "things")
                made["things"] = {_text(n, "a thing's name"): _worn(w, f"things: {n}") for n, w in things.items()}
            if "board" in top:
                made["board"] = _board(top["board"])
            if "table" in top:
                made["table"] = _whole(top["table"], "table")
            if "base" in top:
                base = _mapping(top["base"], "base", ("position", "rotation_deg"))
                made["base"] = Base(**{key: _vector(value, f"base: {key}") for key, value in base.items()})
            return cls(**made)
        except SpecError as error:
            raise SpecError(f"{source}: {error}\nIts form:\n{FORM}") from error


def _worn(value: Any, what: str) -> Worn:
    if not isinstance(value, dict):
        return Worn(_whole(value, what))
    data = _mapping(value, what, ("id", "offset"), needed=("id",))
    offset = {"offset": _vector(data["offset"], f"{what}: offset")} if "offset" in data else {}
    return Worn(_whole(data["id"], f"{what}: id"), **offset)


def _board(value: Any) -> Board:
    needed = ("squares", "square", "marker")
    data = _mapping(value, "board", (*needed, "first"), needed=needed)
    squares = data["squares"]
    if not isinstance(squares, list) or len(squares) != 2:
        raise SpecError(f"board: squares: {squares!r}; expected two whole numbers, to the right and down")
    across, down = (_whole(number, "board: squares") for number in squares)
    return Board(
        (across, down), _number(data["square"], "board: square"), _number(data["marker"], "board: marker"),
        _whole(data.get("first", 0), "board: first"),
    )  # fmt: skip


def _mapping(value: Any, what: str, known: tuple[str, ...] = (), needed: tuple[str, ...] = ()) -> dict[Any, Any]:
    if not isinstance(value, dict):
        raise SpecError(f"{what}: {value!r:.60}; expected names with values")
    unknown = [str(key) for key in value if key not in known] if known else []
    missing = [key for key in needed if key not in value]
    if unknown or missing:
        wrong = [f"unknown {', '.join(unknown)}"] * bool(unknown) + [f"no {', '.join(missing)}"] * bool(missing)
        raise SpecError(f"{what}: {' and '.join(wrong)}; valid are {', '.join(known)}")
    return value


def _text(value: Any, what: str) -> str:
    if not isinstance(value, str) or not value.strip():
        raise SpecError(f"{what}: {value!r:.60}; expected a word")
    return value


def _whole(value: Any, what: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise SpecError(f"{what}: {value!r:.60}; expected a whole number")
    return value


def _number(value: Any, what: str) -> float:
    try:
        number = math.nan if isinstance(value, (bool, str)) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = math.nan
    if not math.isfinite(number):
        raise SpecError(f"{what}: {value!r:.60}; expected a number")
    return number


def _vector(value: Any, what: str) -> Vector:
    if not isinstance(value, list) or len(value) != 3:
        raise SpecError(f"{what}: {value!r:.60}; expected three numbers")
    x, y, z = (_number(number, what) for number in value)
    return x, y, z
