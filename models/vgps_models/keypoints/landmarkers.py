"""MediaPipe's landmarkers, from files that the user has: what they see in a picture, and what is no such file."""

from __future__ import annotations

import atexit
import threading
import weakref
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from vgps_models.errors import DataError, MissingDependencyError
from vgps_models.keypoints.camera import require_picture
from vgps_models.spaces import Array, Image

# What zipfile raises for damaged bytes, ways of packing that it does not know (NotImplementedError) and passwords.
UNREADABLE = (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError)
FAULTS = (RuntimeError, ValueError, OSError, IndexError)  # what MediaPipe turns its status into


@dataclass(frozen=True)
class Bundle:
    """What a landmarker is made of."""

    task: str  # its class in MediaPipe
    file: str  # its file, as it is published
    models: tuple[str, ...]  # that the file holds; it is a zip archive that is not compressed
    source: str  # where to get one


class Landmarker:
    """Looks at one picture at a time and remembers nothing, so that a frame says the same wherever it comes."""

    def __init__(self, bundle: Bundle, file: Path, **options: Any) -> None:
        """Raises MissingDependencyError without MediaPipe, DataError for a file that is another, or damaged."""
        try:
            import mediapipe
            from mediapipe.tasks.python import BaseOptions, vision
        except ImportError as error:
            raise MissingDependencyError(
                f"{bundle.file} needs MediaPipe ({error}): pip install 'vgps[hands]'"
            ) from error
        self._mediapipe: Any = mediapipe
        content = BaseOptions(model_asset_buffer=_read(bundle, file))
        asked = getattr(vision, f"{bundle.task}Options")(base_options=content, **options)
        try:
            self._task: Any = getattr(vision, bundle.task).create_from_options(asked)
        except FAULTS as error:
            raise DataError(f"{file} is damaged ({str(error).splitlines()[0]}); {bundle.source}") from error
        # It is closed by a thread of MediaPipe's, and threads end before what `atexit` and `finalize` do at the end.
        self.close = weakref.finalize(self, self._task.close)
        self.close.atexit = False
        getattr(threading, "_register_atexit", atexit.register)(self.close)

    def __call__(self, image: Image) -> Any:
        """MediaPipe's result for a picture (height, width, 3) uint8 RGB."""
        require_picture(image)
        picture = self._mediapipe.Image(image_format=self._mediapipe.ImageFormat.SRGB, data=np.ascontiguousarray(image))
        return self._task.detect(picture)


def in_pixels(landmarks: Any, image: Image) -> Array:
    """Landmarks are told as shares of the picture, from edge to edge; pixels count from the middle of the first."""
    height, width = image.shape[:2]
    return np.array([(p.x * width - 0.5, p.y * height - 0.5) for p in landmarks])


def _read(bundle: Bundle, file: Path) -> bytes:
    """The whole file, with its checksums looked at: with damaged weights MediaPipe finds nobody, and says nothing."""
    if not file.is_file():
        raise DataError(f"there is no {file}; name a {bundle.file}: {bundle.source}")
    try:
        with zipfile.ZipFile(file) as archive:
            held = archive.namelist()
            if any(model not in held for model in bundle.models):
                raise DataError(f"{file} holds {', '.join(held) or 'nothing'} and is no {bundle.file}: {bundle.source}")
            if broken := archive.testzip():
                raise DataError(f"{file} is damaged in {broken}; {bundle.source}")
    except UNREADABLE as error:
        raise DataError(f"{file} is no {bundle.file} or is damaged ({error}); {bundle.source}") from error
    return file.read_bytes()
