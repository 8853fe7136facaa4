"""Where bags lie: single files, folders that rosbag2 writes, and folders of either. Needs no library for bags."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import Any

import yaml

from vgps_models.errors import DataError
from vgps_models.files import not_the_file

MCAP, SQLITE, ROS1, ZSTD = b"\x89MCAP0\r\n", b"SQLite format 3\0", b"#ROSBAG V", b"\x28\xb5\x2f\xfd"
ENDINGS = (".mcap", ".db3", ".bag", ".bag.active", ".mcap.zstd", ".db3.zstd")
METADATA = "metadata.yaml"
PART = re.compile(r"(.+)_(\d+)")  # how rosbag2 names the parts of a bag that it splits


@dataclass(frozen=True)
class BagFiles:
    """One bag. path: as it was found, a file or a folder of rosbag2. files: its parts in the order of time."""

    path: Path
    files: tuple[Path, ...]

    @property
    def name(self) -> str:
        return self.path.name if self.path.is_dir() else _stem(self.path)


def is_bag(path: Path) -> bool:
    """Whether there is a bag at `path` or somewhere below it. A file is known by its ending or by its first bytes."""
    if path.is_dir():
        return _metadata(path) is not None or next(_files(path), None) is not None
    return path.is_file() and (_ends(path) or _rosbag2_folder(path) is not None or _begins(path))


def find_bags(path: Path) -> tuple[list[BagFiles], list[str]]:
    """All bags at or below `path` in a fixed order, and what is wrong with their folders."""
    if path.is_file():
        folder = _rosbag2_folder(path)
        if folder is None:
            return [BagFiles(path, (path,))], []
        path = folder
    found: list[BagFiles] = []
    problems: list[str] = []
    for folder in sorted({file.parent for file in _files(path)} | ({path} if _metadata(path) else set())):
        found += _in_folder(folder, problems)
    return found, problems


def what_is(path: Path) -> str:
    """Why a file is no bag, for an error about one that was taken for it."""
    if (other := not_the_file(path)) is not None:
        return other
    with path.open("rb") as file:
        begin = file.read(16)
    shown = begin.decode("ascii") if begin.isascii() and begin.decode("ascii").isprintable() else begin.hex(" ")
    return f"is no bag: it begins with '{shown}', not as MCAP, SQLite (.db3) or a bag of ROS 1 does"


def _in_folder(folder: Path, problems: list[str]) -> Iterator[BagFiles]:
    files = sorted((file for file in folder.iterdir() if file.is_file() and _ends(file)), key=_order)
    listed: list[Path] = []
    metadata = _metadata(folder)
    if metadata is not None:
        for name in _listed(metadata):
            # Old versions put the folder's name before the file's; a packed file may be listed without its ending.
            here = [folder / name, folder / f"{name}.zstd", folder / name.removesuffix(".zstd")]
            if (file := next((file for file in here if file.is_file()), None)) is not None:
                listed.append(file)
            else:
                problems.append(f"{folder / METADATA} lists {name}, which is missing; the other files are read")
    stems = {_stem(file) for file in listed}
    prefixes = {found[1] for stem in stems if (found := PART.fullmatch(stem))} | {folder.name}
    others = [file for file in files if _stem(file) not in stems]
    parts = [file for file in others if (found := PART.fullmatch(_stem(file))) and found[1] in prefixes]
    if listed or len(parts) > 1:
        yield BagFiles(folder, tuple(sorted([*listed, *parts], key=_order) if parts else listed))
        others = [file for file in others if file not in parts]
    yield from (BagFiles(file, (file,)) for file in others)


def _files(folder: Path) -> Iterator[Path]:
    return (file for file in folder.rglob("*") if _ends(file) and file.is_file())


def _ends(path: Path) -> bool:
    return path.name.lower().endswith(ENDINGS)


def _begins(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            begin = file.read(len(SQLITE))
    except OSError:
        return False
    return begin.startswith((MCAP, SQLITE, ROS1))


def _stem(file: Path) -> str:
    ending = next((e for e in sorted(ENDINGS, key=len, reverse=True) if file.name.lower().endswith(e)), file.suffix)
    return file.name[: len(file.name) - len(ending)]


def _order(file: Path) -> tuple[str, int, str]:
    """Parts by their number: run_2 before run_10."""
    found = PART.fullmatch(_stem(file))
    return (found[1], int(found[2]), file.name) if found else (_stem(file), -1, file.name)


def _rosbag2_folder(path: Path) -> Path | None:
    """Of a metadata.yaml of rosbag2."""
    return path.parent if path.name == METADATA and _metadata(path.parent) is not None else None


def _metadata(folder: Path) -> dict[str, Any] | None:
    """What rosbag2 wrote about the bag in this folder; a damaged file is as good as none."""
    path = folder / METADATA
    if not path.is_file():
        return None
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
        found = yaml.safe_load(text)["rosbag2_bagfile_information"]
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error})") from error
    except (yaml.YAMLError, KeyError, TypeError, ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None


def _listed(metadata: dict[str, Any]) -> Sequence[str]:
    names = metadata.get("relative_file_paths")
    return [PurePath(name).name for name in names if isinstance(name, str)] if isinstance(names, list) else []
