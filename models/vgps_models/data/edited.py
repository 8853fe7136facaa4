"""Data sets of this project that another program has written again, such as LeRobot's tools for deleting, splitting,
merging and appending.

What is left is what LeRobot keeps: the rows, the videos (encoded anew, perhaps) and the sentences. Outcomes are read
from `next.success`, tasks from the sentences, the action spec from info.json. Names of flaws, events, seeds and hashes
of the images as they were rendered are gone.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from vgps_models.data.episodes import ACTION, FLAGS, FLAWED, OLD_ENVIRONMENT_STATE, SUCCESS, VECTOR_NAMES
from vgps_models.data.foreign_lerobot import ForeignDataSet
from vgps_models.data.layout import INFO
from vgps_models.data.records import ClipRecord, Problem, Record, Stored, content_columns, frames_hash, vector
from vgps_models.errors import DataError, SpecError
from vgps_models.perception.phrases import same_meaning
from vgps_models.spaces import GRIPPER, ActionSpec

UNNAMED = "unnamed"  # flaw of an episode whose rows mark one
FAR_OFF = 2.0  # actions that are so many times larger than the usual limits are of another kind
COLUMNS = (*VECTOR_NAMES, OLD_ENVIRONMENT_STATE, *FLAGS, "frame_index")


@dataclass
class Edited:
    """episodes: as `Stored`, without clips: their images are those of `data`. places: of each in `data`."""

    data: ForeignDataSet
    episodes: list[Stored] = field(default_factory=list)
    places: list[int] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def read_edited(root: Path) -> Edited:
    """Its readable episodes, in the order of the data set. Raises DataError when nothing of it can be read."""
    data = ForeignDataSet(root)
    made = Edited(data, notes=[*data.notes])
    spec = _spec(data, made.notes)
    videos: dict[Path, str] = {}
    for index in range(len(data)):
        name = f"episode {index}"
        try:
            name = data.name(index)
            stored = _stored(data, index, spec, videos)
            if "action_spec" not in data.info:
                _require_within(stored, spec)
        except (DataError, KeyError, TypeError, ValueError, pa.ArrowException) as error:
            made.problems.append(Problem(name, f"lacks {error}" if isinstance(error, KeyError) else str(error)))
        else:
            made.episodes.append(stored)
            made.places.append(index)
    return made


def task_of(sentence: str) -> str:
    """A task id for an instruction: that of its task when it is a sentence of a shipped one, else made of its words."""
    first = same_meaning(sentence)[0].lower()
    return "_".join(word for word in re.findall(r"[a-z0-9]+", first) if word != "the")[:80] or "task"


def _spec(data: ForeignDataSet, notes: list[str]) -> ActionSpec:
    noted = data.info.get("action_spec")
    if isinstance(noted, dict):
        try:
            return ActionSpec.from_json(noted)
        except (SpecError, TypeError, ValueError) as error:
            raise DataError(f"{data.root / INFO}: its action_spec cannot be read ({error})") from None
    spec = ActionSpec(arm=data.robot or ActionSpec.arm, control_hz=data.fps)
    notes.append(
        f"its action spec is lost; taken are the arm '{spec.arm}', {spec.control_hz:g} Hz and the usual limits of "
        f"{spec.max_translation:g} m and {spec.max_rotation:g} rad a step"
    )
    return spec


def _stored(data: ForeignDataSet, index: int, spec: ActionSpec, videos: dict[Path, str]) -> Stored:
    instruction = data.task(index)
    if not instruction:
        raise DataError("it has no task in words")
    frames = _frames(data.tables.read(index, COLUMNS))
    row = {key: value for key, value in data.tables.rows[index].items() if isinstance(value, str)}  # of ours, if kept
    success, flawed = (frames[key].to_numpy(zero_copy_only=False) for key in (SUCCESS, FLAWED))
    record = Record(
        task_id=row.get("task_id") or task_of(instruction),
        seed=data.tables.number(index),
        instruction=instruction,
        success=bool(success.any()),
        flaw=row.get("flaw", UNNAMED if flawed.any() else ""),
        events={},
        quality=row.get("quality", ""),
        layout_hash=row.get("layout_hash", ""),
        length=len(frames),
        spec=spec.to_json(),
        images_hash=_images_hash(data, index, videos),
        frames_hash=frames_hash(frames),
        clips={name: ClipRecord(*data.camera(name).size, sha256="", stats={}) for name in data.cameras},
    )
    stored = Stored(record, frames, {})
    stored.verify(lambda file, name: None, videos=False)  # type: ignore[arg-type,return-value]
    return stored


def _frames(rows: pa.Table) -> pa.Table:
    """Vectors as fixed-size lists of float32 and flags as bool, whatever types they were written again with."""
    columns: dict[str, Any] = {}
    rows = content_columns(rows)
    for key in VECTOR_NAMES:
        if key in rows.column_names:
            values = np.array(rows[key].to_pylist(), np.float32)
            columns[key] = pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
    for key in FLAGS:
        columns[key] = pa.array(np.array([np.any(value) for value in rows[key].to_pylist()], bool))
    return pa.table(columns)


def _images_hash(data: ForeignDataSet, index: int, videos: dict[Path, str]) -> str:
    """sha256 over the files that hold an episode's images, and where in them it is."""
    digest = hashlib.sha256()
    for name in data.cameras:
        if data.camera(name).stored == "video":
            place = data.place(index, name)
            path, where = place.path, f"{place.begin} {place.end}"
        else:
            path, where = data.tables.data(index), str(data.tables.number(index))
        if path not in videos:
            try:
                videos[path] = hashlib.sha256(path.read_bytes()).hexdigest()
            except OSError as error:
                raise DataError(f"{path} cannot be read ({error})") from None
        digest.update(f"{name} {videos[path]} {where}".encode())
    return digest.hexdigest()


def _require_within(stored: Stored, spec: ActionSpec) -> None:
    """Whether the usual limits can be those of these actions; actions of another scale would be learned wrong."""
    actions = vector(stored.frames, ACTION).astype(np.float64)
    moved, turned = (float(np.linalg.norm(actions[:, part], axis=1).max()) for part in (slice(3), slice(3, GRIPPER)))
    low, high = float(actions[:, GRIPPER].min()), float(actions[:, GRIPPER].max())
    if moved > FAR_OFF * spec.max_translation or turned > FAR_OFF * spec.max_rotation or low < -0.01 or high > 1.01:
        raise DataError(
            f"its actions (up to {moved:.3g} m and {turned:.3g} rad a step, gripper {low:.3g} to {high:.3g}) are not "
            f"of the usual limits ({spec.max_translation:g} m, {spec.max_rotation:g} rad, 0 to 1); write the true "
            f"ones into {INFO} as 'action_spec'"
        )
