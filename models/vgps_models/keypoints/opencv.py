"""OpenCV with its markers, loaded when something asks for it."""

from __future__ import annotations

from typing import Any

from vgps_models.errors import MissingDependencyError, SpecError, UnknownNameError


def opencv() -> Any:
    """The module cv2. Raises MissingDependencyError where it or its `aruco` is missing."""
    try:
        import cv2
    except ImportError as error:
        raise MissingDependencyError(f"markers need OpenCV ({error}): pip install 'vgps[hands]'") from error
    if not hasattr(getattr(cv2, "aruco", None), "CharucoDetector"):
        raise MissingDependencyError(
            f"markers need OpenCV 4.10 or later with its aruco module, this is {cv2.__version__}: "
            "pip install 'vgps[hands]'"
        )
    return cv2


def dictionary(name: str, ids: int) -> Any:
    """A predefined set of markers, as OpenCV calls it without `DICT_`, that has at least `ids` markers."""
    aruco = opencv().aruco
    # Some stand there twice, as 36H11 and 36h11.
    known = {word[5:].upper(): word for word in sorted(dir(aruco)) if word.startswith("DICT_")}
    if name.upper() not in known:
        raise UnknownNameError("dictionary of markers", name, (word[5:] for word in known.values()))
    found = aruco.getPredefinedDictionary(getattr(aruco, known[name.upper()]))
    if (size := len(found.bytesList)) < ids:
        raise SpecError(f"{name} has markers 0 .. {size - 1}, there is no {ids - 1}; choose others or a larger one")
    return found
