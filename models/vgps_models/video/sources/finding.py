"""Which kind of source lies at a path, and opening several of them."""

from __future__ import annotations

import importlib
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from vgps_models.data.lerobot_info import camera_map, find_camera
from vgps_models.errors import DataError, UnknownNameError
from vgps_models.video.sources.base import Recording, Renamed, Source, SourceOptions

# Asked in this order whether a path is theirs; `files` takes whatever is left. Each module has `found` and `read`.
KINDS = ("ego4d", "ssv2", "lerobot", "bags", "rlds", "files")


def open_sources(sources: Sequence[str], options: SourceOptions | None = None) -> Source:
    """All recordings of several sources, each a path or KIND:PATH, in a fixed order.

    Raises DataError for a path that is not there or holds no video, and when two recordings have the same name.
    """
    options = options or SourceOptions()
    recordings: list[Recording] = []
    problems: list[str] = []
    for text in sources:
        made = _open(text, options)
        recordings += made.recordings
        problems += made.problems
    if options.views:
        recordings = _chosen(recordings, options.views)
    if not recordings:
        reason = "; ".join(problems[:3]) or "no video files, numbered frames, data sets or bags"
        raise DataError(f"{', '.join(sources)} holds no video that can be used: {reason}")
    names = Counter(recording.name for recording in recordings)
    if twice := [name for name, count in names.items() if count > 1]:
        raise DataError(
            f"{len(twice)} recordings have the name of another one ({twice[0]}); give every source once, and pack "
            "folders of the same name into different shards"
        )
    return Source(recordings, problems)


def _chosen(recordings: Sequence[Recording], views: Sequence[str]) -> list[Recording]:
    """Those of these views, given as NAME or NAME=CAMERA, each under its name."""
    known = {recording.view for recording in recordings}
    names: dict[str, list[str]] = {}
    for name, camera in camera_map(views).items():
        names.setdefault(find_camera(camera, known), []).append(name)
    return [
        recording if name == recording.view else Renamed.of(recording, name)
        for recording in recordings
        for name in names.get(recording.view, ())
    ]


def _open(text: str, options: SourceOptions) -> Source:
    kind, colon, rest = text.partition(":")
    if not colon or kind not in KINDS:
        kind, rest = "", text
        if colon and "/" not in text.partition(":")[0] and not Path(text).exists():
            raise UnknownNameError("kind of source", text.partition(":")[0], KINDS)
    path = Path(os.path.expanduser(rest))  # leaves ~ as it is for a user without a home
    if not path.exists():
        raise DataError(f"{path} does not exist; give a folder or a file of video")
    for name in [kind] if kind else KINDS:
        module = importlib.import_module(f"vgps_models.video.sources.{name}")
        if kind or module.found(path):
            return module.read(path, options)
    raise AssertionError("`files` takes everything")
