"""Ego4D as its own command line puts it on disk: `ego4d.json` and `full_scale/`, `video_540ss/` or `clips/` with MP4s.

PATH is the folder of a version (`ego4d_data/v2`), the one above it, or one of the folders of videos, which is then the
one that is read. Text is the scenarios of a video, such as "Cooking, Cleaning / laundry".
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from vgps_models.data.lerobot_info import words
from vgps_models.errors import DataError
from vgps_models.video.sources.base import HUMAN, MOST_WORDS, Source, SourceOptions
from vgps_models.video.sources.files import CAMERA, FileRecording

MANIFEST = "ego4d.json"
FOLDERS = ("full_scale", "video_540ss", "clips")  # the first that exists is read


def found(path: Path) -> bool:
    return _manifest(path) is not None


def read(path: Path, options: SourceOptions) -> Source:
    manifest = _manifest(path)
    if manifest is None:
        raise DataError(f"{path} has no {MANIFEST}; get it with: ego4d --metadata")
    folder = next((f for f in _folders(path, manifest) if f.is_dir()), None)
    if folder is None:
        raise DataError(f"{manifest} has none of the folders {', '.join(FOLDERS)} beside it")
    try:
        described = json.loads(manifest.read_text())
        wanted = _clips(described) if folder.name == "clips" else {v["video_uid"]: v for v in described["videos"]}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{manifest} is not laid out as that of Ego4D ({error!r}); get it anew") from None
    out, missing, stereo = Source(), 0, 0
    for uid, video in sorted(wanted.items()):
        if not (file := folder / f"{uid}.mp4").is_file():
            missing += 1
        elif video.get("is_stereo"):
            stereo += 1
        else:
            named = (words(scenario) for scenario in video.get("scenarios") or ())
            text = ", ".join(name for name in named if name) or options.text
            name = f"ego4d/{folder.name}/{uid}"
            out.recordings.append(FileRecording(name, "ego4d", CAMERA, text[:MOST_WORDS], HUMAN, file))
    if missing:
        out.problems.append(f"{missing} of {len(wanted)} videos of {manifest} are not in {folder}")
    if stereo:
        out.problems.append(f"{stereo} videos of {folder} are stereo, two pictures side by side; they are left out")
    if unknown := sum(file.stem not in wanted for file in folder.glob("*.mp4")):
        out.problems.append(f"{unknown} videos of {folder} are not in {manifest}; they are left out")
    return out


def _manifest(path: Path) -> Path | None:
    """The newest version's, when there are several."""
    places = [path, *([path.parent] if path.name in FOLDERS else []), *sorted(path.glob("v[0-9]*"), reverse=True)]
    return next((place / MANIFEST for place in places if (place / MANIFEST).is_file()), None)


def _folders(path: Path, manifest: Path) -> list[Path]:
    """Where the videos may be. The manifest also lies above the folder of its version."""
    if path.name in FOLDERS:
        return [path]
    homes = [manifest.parent, *sorted(manifest.parent.glob("v[0-9]*"), reverse=True)]
    return [home / name for home in homes for name in FOLDERS]


def _clips(described: dict[str, Any]) -> dict[str, Any]:
    """Clip uid -> the video that it was cut from."""
    videos = {video["video_uid"]: video for video in described["videos"]}
    nested = [(clip, video["video_uid"]) for video in videos.values() for clip in video.get("clips") or ()]
    listed = [(clip, clip["video_uid"]) for clip in described.get("clips") or ()]
    return {clip["clip_uid"]: videos.get(uid, {}) for clip, uid in [*nested, *listed]}
