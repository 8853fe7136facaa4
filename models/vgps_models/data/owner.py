"""Who wrote a data set. Commands write only into data sets of this project that no other program has changed."""

from __future__ import annotations

import enum
import json
import re
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from vgps_models.data.episodes import ACTION, COMMANDED, DONE, FLAWED, JOINTS, STATE, SUCCESS, VECTOR_NAMES
from vgps_models.data.foreign_video import VIDEO_SUFFIXES
from vgps_models.data.layout import INFO, OWN, PARTS
from vgps_models.data.lerobot_info import read_info
from vgps_models.data.staging import FOLDER, RECORD
from vgps_models.errors import DataError

RECORDED = (*VIDEO_SUFFIXES, ".mcap", ".bag", ".db3", ".hdf5", ".h5", ".zarr", ".parquet", ".npz")
STAGED = re.compile(r"[A-Za-z0-9_]+-\d{8,}\.zip(\.\d+\.part)?")  # names of staged episodes


class Owner(enum.Enum):
    """Who wrote what a folder holds."""

    NONE = "nothing that was recorded"
    OURS = "a data set of this project"
    EDITED = "a data set of this project that another program has written again"
    OTHERS = "recordings of another program"


def owner_of(root: Path) -> Owner:
    """By the tables of episodes and info.json; where these are damaged, by what is left of the folder. Writes nothing.

    A folder is ours only when every readable table of episodes is ours, and info.json too if it is readable.
    """
    if not root.is_dir():
        return Owner.NONE
    if not (root / "meta").exists():
        return _without_meta(root)
    info = _info(root)
    own = [described for path in _tables(root) if (described := _described(path)) is not None]
    specs = [described["action_spec"] for described in own if described]
    info_is_ours = info is not None and ("action_spec" in info or any(value in specs for value in info.values()))
    if own and all(own) and (info is None or info_is_ours):
        return Owner.OURS
    if not own and (info_is_ours or (info is None and _staged(root))):
        return Owner.OURS
    return Owner.EDITED if info is not None and has_our_columns(info) else Owner.OTHERS


def has_our_columns(info: dict[str, Any]) -> bool:
    """Whether the rows of a data set hold what an episode of this project holds, by the features of its info.json."""
    features = info.get("features")
    if not isinstance(features, dict):
        return False
    widths = {key: len(VECTOR_NAMES[key] or ()) for key in (STATE, JOINTS, ACTION, COMMANDED)} | {DONE: 1, SUCCESS: 1}
    found = {key: feature.get("shape") for key, feature in features.items() if isinstance(feature, dict)}
    names = features[ACTION].get("names") if isinstance(features.get(ACTION), dict) else None
    known = names is None or names == list(VECTOR_NAMES[ACTION] or ())
    return known and FLAWED in found and all(found.get(key) in ([width], (width,)) for key, width in widths.items())


def require_ours(root: Path, command: str) -> None:
    """Raise DataError unless `command` may write into `root`: a data set of this project, or nothing recorded yet."""
    owner = owner_of(root)
    if owner is Owner.EDITED:
        raise DataError(
            f"{root} was written again by another program, such as LeRobot's editing tools; {command} leaves it as it "
            f"is. `vgps data check {root}` looks for problems, `vgps data filter {root} --by all --out FOLDER` copies "
            "its episodes into a data set of this project"
        )
    if owner is Owner.OTHERS:
        raise DataError(
            f"{root} was not recorded by this project, so nothing in it can be saved or added by {command}, which "
            f"leaves it as it is. `vgps data check {root}` looks for problems; mend it with the program that wrote it, "
            "or give another folder"
        )


def foreign_message(root: Path) -> str:
    """Why recordings of another program cannot be learned from, and what can be done with them."""
    info = _info(root)
    if info is None:
        return (
            f"{root} was not recorded by this project and is no LeRobot data set ({INFO} cannot be read); videos, bags "
            "and RLDS files are judged by `vgps progress score` and packed by `vgps video pack`"
        )
    features = info.get("features")
    action = features.get(ACTION) if isinstance(features, dict) else None
    shape = action.get("shape") if isinstance(action, dict) else None
    kind = f"actions of shape {shape}" if shape else "no actions that are known"
    return (
        f"{root} was not recorded by this project: it has {kind}, or lacks other columns that are needed here; it can "
        "be looked at by `vgps data info`, judged by `vgps progress score` and `vgps data progress`, and packed by "
        "`vgps video pack`"
    )


def _without_meta(root: Path) -> Owner:
    """Of a folder without `meta`: our staged episodes or an unfinished swap, other recordings, or neither."""
    if _staged(root) or (root / ".next" / "READY").exists():
        return Owner.OURS
    inside = [path for pattern in ("*", "*/*", "*/*/*") for path in root.glob(pattern)]
    if any((root / part).is_dir() for part in PARTS) or any(map(_recorded, inside)):
        return Owner.OTHERS
    return Owner.NONE


def _recorded(path: Path) -> bool:
    return path.suffix.lower() in RECORDED or ".tfrecord" in path.name


def _staged(root: Path) -> bool:
    """Whether episodes of this project wait there to be merged, damaged ones among them."""
    for path in (root / FOLDER).glob("*.zip*"):
        if STAGED.fullmatch(path.name):
            try:
                with zipfile.ZipFile(path) as file:
                    return RECORD in file.namelist()
            except (OSError, zipfile.BadZipFile):
                return True
    return False


def _info(root: Path) -> dict[str, Any] | None:
    try:
        return read_info(root)
    except DataError:
        return None


def _tables(root: Path) -> list[Path]:
    return sorted((root / "meta" / "episodes").glob("*/*.parquet"))


def _described(path: Path) -> dict[str, Any] | None:
    """What this project notes in a table of episodes; {} for a table of another writer, None for an unreadable one."""
    try:
        noted = (pq.read_schema(path).metadata or {}).get(OWN.encode())
    except (OSError, pa.ArrowException):
        return None
    try:
        described = json.loads(noted) if noted else {}
        return described if isinstance(described, dict) and "action_spec" in described else {}
    except ValueError:
        return {}
