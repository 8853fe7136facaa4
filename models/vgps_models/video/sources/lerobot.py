"""LeRobot data sets as video: an episode seen by one camera is a recording. Ours are verified, others believed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from vgps_models.data.foreign_lerobot import ForeignDataSet
from vgps_models.data.layout import INFO
from vgps_models.data.lerobot_info import read_info
from vgps_models.data.owner import Owner, owner_of
from vgps_models.errors import DataError
from vgps_models.video.moments import Moment
from vgps_models.video.sources.base import Recording, Source, SourceOptions
from vgps_models.video.sources.files import FileRecording


@dataclass(frozen=True)
class RowsRecording(Recording):
    """Pictures that lie in the rows of an episode. times: of each [s]."""

    root: Path
    episode: int
    times: tuple[float, ...]

    def play(self) -> Iterator[Moment]:
        data = ForeignDataSet(self.root)
        for row, seconds in enumerate(self.times):
            yield Moment(seconds - self.times[0], partial(data.picture, self.episode, self.view, row))


def found(path: Path) -> bool:
    return (path / INFO).is_file()


def read(root: Path, options: SourceOptions) -> Source:
    info = read_info(root)
    ours = "action_spec" in info and owner_of(root) is Owner.OURS
    return _ours(root) if ours else _foreign(ForeignDataSet(root, info), options)


def _ours(root: Path) -> Source:
    from vgps_models.data import EpisodeStore

    store, source = EpisodeStore(root), root.resolve().name
    recordings: list[Recording] = []
    for index, record in enumerate(store.records):
        for camera, clip in store.stored(index).clips.items():
            assert isinstance(clip.file, Path)  # merged episodes lie in video files
            recordings.append(
                FileRecording(
                    name=f"{source}/{record.name}/{camera}",
                    source=source,
                    view=camera,
                    text=record.instruction,
                    embodiment=str(record.spec["arm"]),
                    path=clip.file,
                    begin=clip.first / record.fps,
                    end=(clip.first + clip.count) / record.fps,
                )
            )
    return Source(recordings, [str(problem) for problem in store.problems])


def _foreign(data: ForeignDataSet, options: SourceOptions) -> Source:
    out, source = Source(), data.root.resolve().name
    for index in range(len(data)):
        for camera in data.cameras:
            try:
                common = {
                    "name": f"{source}/{data.name(index)}/{camera}",
                    "source": source,
                    "view": camera,
                    "text": data.task(index) or options.text,
                    "embodiment": data.robot or options.embodiment,
                }
                if data.camera(camera).stored == "image":
                    times = tuple(data.seconds(index).tolist())
                    out.recordings.append(RowsRecording(**common, root=data.root, episode=index, times=times))
                else:
                    place = data.place(index, camera)
                    end = place.begin + float(data.seconds(index)[-1]) + 1 / data.fps
                    where = {"path": place.path, "begin": place.begin, "end": end, "earliest": place.earliest}
                    out.recordings.append(FileRecording(**common, **where))
            except DataError as error:
                out.problems.append(str(error))
    out.problems += data.notes
    return out
