"""LeRobot data sets as video: an episode seen by one camera is a recording. Ours are verified, others believed."""

from __future__ import annotations

from pathlib import Path

from vgps_models.data.foreign_lerobot import ForeignDataSet, read_info
from vgps_models.data.layout import INFO
from vgps_models.errors import DataError
from vgps_models.video.sources.base import Recording, Source, SourceOptions
from vgps_models.video.sources.files import FileRecording


def found(path: Path) -> bool:
    return (path / INFO).is_file()


def read(root: Path, options: SourceOptions) -> Source:
    info = read_info(root)
    return _ours(root) if "action_spec" in info else _foreign(ForeignDataSet(root, info), options)


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
                place = data.place(index, camera)
            except DataError as error:
                out.problems.append(str(error))
                continue
            recording = FileRecording(
                name=f"{source}/{data.name(index)}/{camera}",
                source=source,
                view=camera,
                text=data.task(index) or options.text,
                embodiment=data.robot or options.embodiment,
                path=place.path,
                begin=place.begin,
                end=place.begin + place.length / data.fps,
            )
            out.recordings.append(recording)
    return out
