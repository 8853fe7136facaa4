"""Reading a data set: tables, numeric columns of all frames at once, and decoded images."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from vgps_models.data.contents import read_merged, read_waiting
from vgps_models.data.edited import Edited, read_edited
from vgps_models.data.episodes import (
    ACTION,
    COMMANDED,
    DONE,
    ENVIRONMENT_STATE,
    FLAWED,
    JOINTS,
    STATE,
    SUCCESS,
    Episode,
)  # fmt: skip
from vgps_models.data.layout import INFO
from vgps_models.data.lerobot_info import find_camera
from vgps_models.data.merge import finish_swap, is_merged
from vgps_models.data.owner import Owner, foreign_message, owner_of
from vgps_models.data.records import Problem, Record, Stored, Videos, data_hash, flag, open_videos, vector
from vgps_models.data.staging import staged_path
from vgps_models.errors import DataError
from vgps_models.spaces import ActionSpec, Image

Floats = NDArray[np.float32]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
KEPT = ("instruction", "task_id", "seed", "success", "flaw", "events", "quality", "layout_hash")  # of a record
WHOLE = 1 << 14  # longest side of an image [px]: none is made smaller


@dataclass(frozen=True, eq=False)
class Columns:
    """All frames of a data set, episode after episode. N frames, M episodes, I instructions."""

    state: Floats  # (N, 10) tool pose and gripper, as Observation.proprio
    joints: Floats  # (N, 7) [rad], gripper 0..1
    actions: Floats  # (N, 7) executed: [m], [rad], gripper 0..1
    commanded: Floats  # (N, 7) before clipping
    environment_state: Floats  # (N, E) privileged poses; E may be 0
    done: Bools  # (N,) last step of its episode
    success: Bools  # (N,) this step's action ended in success
    flawed: Bools  # (N,) an injected flaw was active
    episode: Ints  # (N,) which episode, 0..M-1
    frame: Ints  # (N,) step within the episode
    instruction: Ints  # (N,) index into `instructions`
    bounds: Ints  # (M + 1,) episode m is frames bounds[m] .. bounds[m + 1] - 1
    instructions: tuple[str, ...]
    instruction_tasks: tuple[str, ...]  # (I,) the task id each instruction belongs to

    def __len__(self) -> int:
        return len(self.frame)


class EpisodeStore:
    """The readable episodes of a data set, 0 .. len - 1 in the order of (seed, task).

    Every episode is verified on opening, bit for bit (about 1 s for 1000);
    damaged ones are named in `problems` and skipped, so no index refers to them.
    A data set that LeRobot's tools have written again is read too, in the order in which they list its episodes.
    waiting: recorded episodes that no `finalise` has merged yet; not part of the store. notes: what had to be assumed.
    """

    def __init__(self, root: Path | str) -> None:
        self.root = Path(root)
        self.notes: tuple[str, ...] = ()
        self._edited: Edited | None = None
        owner = owner_of(self.root)
        if owner is Owner.OTHERS:
            raise DataError(foreign_message(self.root))
        if owner is Owner.EDITED:
            self._edited = read_edited(self.root)
            self.notes, self.waiting = tuple(self._edited.notes), 0
            self._take(self._edited.episodes, self._edited.problems)
            return
        finish_swap(self.root)
        if not is_merged(self.root):
            waiting = len(list(staged_path(self.root, "x").parent.glob("*.zip")))
            hint = (
                f"{waiting} episodes wait: EpisodeWriter(root).finalise()"
                if waiting
                else "make one with `vgps collect`"
            )
            raise DataError(f"{self.root} is not a data set ({INFO} is missing); {hint}")
        with open_videos() as videos:
            contents = read_merged(self.root, videos)
        self.waiting = len(read_waiting(self.root, verify=False).episodes)
        self._take(contents.episodes, contents.problems)

    def _take(self, episodes: list[Stored], problems: Sequence[Problem]) -> None:
        self._stored: list[Stored] = episodes
        self.problems: tuple[Problem, ...] = tuple(problems)
        if not self._stored:
            reasons = "; ".join(str(problem) for problem in self.problems[:3])
            raise DataError(f"{self.root} has no readable episode ({reasons}); collect again")
        self.spec = ActionSpec.from_json(self._stored[0].record.spec)

    def __len__(self) -> int:
        return len(self._stored)

    @property
    def records(self) -> list[Record]:
        return [stored.record for stored in self._stored]

    def stored(self, episode: int) -> Stored:
        """Record, columns and whereabouts of one episode."""
        return self._stored[episode]

    @property
    def cameras(self) -> tuple[str, ...]:
        return tuple(self._stored[0].record.clips)

    @property
    def lengths(self) -> Ints:
        """Steps of every episode. Shape (M,)."""
        return np.array([record.length for record in self.records], np.int64)

    @property
    def edited(self) -> bool:
        """Whether another program has written this data set again, so that its video packets are not ours."""
        return self._edited is not None

    def episode(self, episode: int) -> Episode:
        """A whole episode, as it was recorded but for what the encoding of its images lost."""
        record, frames = self._stored[episode].record, self._stored[episode].frames
        return Episode(
            images=self.images(episode),
            proprio=vector(frames, STATE),
            joints=vector(frames, JOINTS),
            actions=vector(frames, ACTION),
            commanded=vector(frames, COMMANDED),
            environment_state=vector(frames, ENVIRONMENT_STATE) if ENVIRONMENT_STATE in frames.column_names else None,
            flawed=flag(frames, FLAWED),
            **{name: getattr(record, name) for name in KEPT},
        )

    def name(self, episode: int) -> str:
        return self._stored[episode].record.name

    def task(self, episode: int) -> str:
        """The instruction, in words."""
        return self._stored[episode].record.instruction

    def success(self, episode: int) -> bool | None:
        """The recorded outcome."""
        return self._stored[episode].record.success

    def label(self, episode: int) -> str:
        """The task's id: instructions differ within a task."""
        return self._stored[episode].record.task_id

    def seconds(self, episode: int) -> NDArray[np.float64]:
        """When each frame was recorded [s], counted from the first. Shape (T,)."""
        record = self._stored[episode].record
        return np.arange(record.length) / record.fps

    def episodes(self) -> dict[str, NDArray[Any]]:
        """The episode table: column -> (M,). Strings as object arrays, `events` as dicts."""
        records = self.records
        numeric = {"seed": np.int64, "length": np.int64, "success": np.bool_}
        names = ("task_id", "seed", "success", "flaw", "quality", "layout_hash", "length", "instruction", "events")
        table: dict[str, NDArray[Any]] = {}
        for name in names:
            column = np.empty(len(records), numeric.get(name, object))
            column[:] = [getattr(record, name) for record in records]
            table[name] = column
        return table

    def columns(self) -> Columns:
        """Numeric columns of all frames."""
        frames = pa.concat_tables([stored.frames for stored in self._stored])
        lengths, records = self.lengths, self.records
        pairs = sorted({(record.instruction, record.task_id) for record in records})
        number = {pair: index for index, pair in enumerate(pairs)}
        instruction = np.array([number[record.instruction, record.task_id] for record in records], np.int64)
        bounds = np.concatenate([[0], np.cumsum(lengths)])
        has_state = ENVIRONMENT_STATE in frames.column_names
        return Columns(
            state=vector(frames, STATE),
            joints=vector(frames, JOINTS),
            actions=vector(frames, ACTION),
            commanded=vector(frames, COMMANDED),
            environment_state=vector(frames, ENVIRONMENT_STATE)
            if has_state
            else np.zeros((len(frames), 0), np.float32),
            done=flag(frames, DONE),
            success=flag(frames, SUCCESS),
            flawed=flag(frames, FLAWED),
            episode=np.repeat(np.arange(len(self)), lengths),
            frame=np.arange(bounds[-1]) - np.repeat(bounds[:-1], lengths),
            instruction=np.repeat(instruction, lengths),
            bounds=bounds,
            instructions=tuple(sentence for sentence, _ in pairs),
            instruction_tasks=tuple(task for _, task in pairs),
        )

    def images(
        self,
        episode: int,
        index: NDArray[np.intp] | None = None,
        cameras: Sequence[str] = (),
        videos: Videos | None = None,
    ) -> dict[str, Image]:
        """Decoded images of an episode: camera -> (T, height, width, 3) uint8 RGB, by short names.

        index: only these steps, in rising order; no more is decoded than they need. cameras: all when none is named.
        videos: files that stay open from call to call, of this thread alone.
        """
        cameras = [find_camera(camera, self.cameras) for camera in cameras]
        if self._edited is not None:
            place = self._edited.places[episode]
            return self._edited.data.images(place, index, cameras or self.cameras, side=WHOLE)
        if videos is None:
            with open_videos() as videos:
                return self.images(episode, index, cameras, videos)
        stored, out = self._stored[episode], {}
        for camera in cameras or stored.clips:
            clip = stored.clips[camera]
            video = videos(clip.file, stored.record.name)
            if index is None or len(index) == clip.count:
                out[camera] = video.frames(clip.first, clip.count)
            else:
                out[camera] = video.pick(clip.first, index)
        return out

    def all_images(self, camera: str, cache: Path | str | None = None) -> Image:
        """Images of all frames, in the order of `columns`. Shape (N, height, width, 3) uint8 RGB.

        In memory; or, with a `cache` folder, a read-only memory map of a .npy file
        there, which is made once and named after the data hash.
        """
        camera = find_camera(camera, self.cameras)
        size = self._stored[0].record.clips[camera]
        shape = (int(self.lengths.sum()), size.height, size.width, 3)
        if cache is None:
            return self._decode(camera, np.empty(shape, np.uint8))
        path = Path(cache) / f"{camera}-{self.data_hash()[:16]}.npy"
        if not path.exists():
            path.parent.mkdir(parents=True, exist_ok=True)
            temporary = path.with_suffix(f".{os.getpid()}.part")
            made = np.lib.format.open_memmap(temporary, "w+", np.uint8, shape)
            self._decode(camera, made)
            made.flush()
            os.replace(temporary, path)
        return np.load(path, mmap_mode="r")

    def _decode(self, camera: str, out: Image) -> Image:
        done = 0
        if self._edited is not None:
            for episode, length in enumerate(self.lengths):
                out[done : done + length] = self.images(episode, None, [camera])[camera]
                done += length
            return out
        with open_videos() as videos:
            for stored in self._stored:
                clip = stored.clips[camera]
                end = done + clip.count
                videos(clip.file, stored.record.name).frames(clip.first, clip.count, out[done:end])
                done = end
        return out

    def data_hash(self) -> str:
        """sha256 over the numeric columns, the metadata and the hashes of the images as rendered."""
        return data_hash(self.records)
