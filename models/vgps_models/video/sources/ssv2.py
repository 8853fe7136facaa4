"""Something-Something v2: a folder of `<id>.webm` and the label files, as in the download or renamed by others.

Labels are lists of {"id": "74225", "label": "spinning cube that quickly stops spinning", ...}, in files that end in
`train.json`, `validation.json` and `test.json` (no labels there), beside the videos or in a folder such as `labels/`.
"""

from __future__ import annotations

import json
from pathlib import Path

from vgps_models.data.lerobot_info import words
from vgps_models.errors import DataError
from vgps_models.video.sources.base import HUMAN, MOST_WORDS, Source, SourceOptions
from vgps_models.video.sources.files import CAMERA, FileRecording

SPLITS = ("train.json", "validation.json", "test.json")


def found(path: Path) -> bool:
    return path.is_dir() and bool(_labels(path)) and _videos(path) is not None


def read(path: Path, options: SourceOptions) -> Source:
    files, folder = _labels(path), _videos(path)
    if not files or folder is None:
        raise DataError(f"{path} needs label files ending in {', '.join(SPLITS)} and a folder of <id>.webm")
    out, missing, listed = Source(), 0, set[str]()
    for file in files:
        try:
            labels = {str(entry["id"]): words(entry.get("label")) for entry in json.loads(file.read_text())}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise DataError(f"{file} is not a list of labels of Something-Something v2 ({error!r})") from None
        for name, text in labels.items():
            if name in listed or not name.isalnum():
                continue
            listed.add(name)
            if (video := folder / f"{name}.webm").is_file():
                task = (text or options.text)[:MOST_WORDS]
                out.recordings.append(FileRecording(f"ssv2/{name}", "ssv2", CAMERA, task, HUMAN, video))
            else:
                missing += 1
    if missing:
        out.problems.append(f"{missing} of {len(listed)} labelled videos are not in {folder}")
    if unlisted := sum(video.stem not in listed for video in folder.glob("*.webm")):
        out.problems.append(f"{unlisted} videos of {folder} have no entry in the label files; they are left out")
    return out


def _labels(path: Path) -> list[Path]:
    """One file a split, the shallowest of its name."""
    candidates = [*sorted(path.glob("*.json")), *sorted(path.glob("*/*.json"))]
    chosen = (next((file for file in candidates if file.name.endswith(split)), None) for split in SPLITS)
    return [file for file in chosen if file is not None]


def _videos(path: Path) -> Path | None:
    folders = [path, *sorted(entry for entry in path.iterdir() if entry.is_dir())]
    return next((folder for folder in folders if next(folder.glob("*.webm"), None) is not None), None)
