"""Open X-Embodiment and other RLDS data sets as TFDS stores them, read without TensorFlow.

    <data set>/<version>/dataset_info.json, features.json
    <data set>/<version>/<data set>-train.tfrecord-00000-of-00064

A record is an episode; every list of RGB pictures in it (JPEG or PNG, `steps/observation/...`) is a recording. Only the
first record of a file is read to find them; the others are found by their lengths.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image as Picture

from vgps_models.data.foreign_video import MOST_PIXELS
from vgps_models.data.lerobot_info import words
from vgps_models.errors import DataError
from vgps_models.spaces import Image
from vgps_models.video.moments import Moment
from vgps_models.video.rlds.example import Feature, parse
from vgps_models.video.rlds.tfrecord import Record, records
from vgps_models.video.sources.base import MOST_WORDS, Recording, Source, SourceOptions

FILE = re.compile(r"(?P<data_set>.+)-(?P<split>[^-]+)\.tfrecord(-\d+-of-\d+)?")
COLOURS = ("RGB", "RGBA", "L", "P")  # depth comes in 16 bits
# Steps a second of data sets that many use; RLDS files do not say it. Others need --step-hz.
STEP_HZ = {
    "bridge": 5.0,
    "bridge_dataset": 5.0,
    "bridge_orig": 5.0,
    "droid": 15.0,
    "fractal20220817_data": 3.0,
    "jaco_play": 10.0,
    "kuka": 10.0,
    "taco_play": 15.0,
    "toto": 30.0,
}


@dataclass(frozen=True)
class EpisodeRecording(Recording):
    record: Record
    key: str  # feature that holds the pictures
    hz: float

    def play(self) -> Iterator[Moment]:
        features = parse(self.record.read())
        pictures, text = features.get(self.key), _instruction(features)[:MOST_WORDS]
        if not isinstance(pictures, list):
            raise DataError(f"{self.name} has no pictures '{self.key}'")
        for step, content in enumerate(pictures):
            yield Moment(step / self.hz, partial(_decode, content, f"{self.name}, step {step}"), text)


def found(path: Path) -> bool:
    return bool(_files(path))


def read(path: Path, options: SourceOptions) -> Source:
    out = Source()
    if not (files := _files(path)):
        raise DataError(f"{path} has no files like NAME-train.tfrecord-00000-of-00064")
    unknown: set[str] = set()
    for file in files:
        match = FILE.fullmatch(file.name)
        assert match is not None  # that is how they were found
        name = match["data_set"]
        hz = options.step_hz or STEP_HZ.get(name, 0.0)
        if not hz:
            unknown.add(name)
            continue
        keys: list[str] = []
        try:
            for number, record in enumerate(records(file)):
                keys = keys or _pictures(record)
                for key in keys:
                    view = key.removeprefix("steps/").removeprefix("observation/")
                    where, embodiment = f"{name}/{file.name}/{number}/{view}", options.embodiment or name
                    made = EpisodeRecording(where, name, view, options.text, embodiment, record, key, hz)
                    out.recordings.append(made)
        except DataError as error:
            out.problems.append(f"{error}; what comes before it is used")
        if not keys:
            out.problems.append(f"{file} has no pictures")
    if unknown:
        out.problems.append(f"how many steps a second have {', '.join(sorted(unknown))}? give --step-hz")
    return out


def _pictures(record: Record) -> list[str]:
    """Features of an episode that are lists of RGB pictures, told by the first of each; none when it is damaged."""
    try:
        features = parse(record.read())
    except DataError:
        return []  # it is named when it is played
    return sorted(key for key, values in features.items() if isinstance(values, list) and _is_colour(values))


def _files(path: Path) -> list[Path]:
    candidates = [path] if path.is_file() else sorted(path.rglob("*.tfrecord*"))
    return [file for file in candidates if FILE.fullmatch(file.name) and file.is_file()]


def _instruction(features: dict[str, Feature]) -> str:
    """The first step's, under any of the names in use."""
    for key in sorted(features):
        values = features[key]
        if "instruction" in key and "embedding" not in key and isinstance(values, list) and values:
            return words(values)
    return ""


def _is_colour(values: list[bytes]) -> bool:
    if not values or not values[0].startswith((b"\xff\xd8\xff", b"\x89PNG")):
        return False
    try:
        with Picture.open(io.BytesIO(values[0])) as picture:
            return picture.mode in COLOURS
    except (OSError, ValueError, SyntaxError):
        return False


def _decode(content: bytes, name: str) -> Image:
    try:
        with Picture.open(io.BytesIO(content)) as picture:
            if picture.width * picture.height > MOST_PIXELS:
                raise DataError(f"{name}: a picture of {picture.width}x{picture.height} is too large")
            return np.asarray(picture.convert("RGB"))
    except (OSError, ValueError, SyntaxError) as error:
        raise DataError(f"{name}: a picture cannot be read ({error})") from None
