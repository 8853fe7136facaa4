"""Hands in photographs, marked by a person: `vgps bench hands --photographs FOLDER`.

`hands.json` in the folder has a list of hands for each picture, empty where there is none.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image as Picture

from vgps_models.errors import DataError
from vgps_models.keypoints.hands import LANDMARKS, Hand
from vgps_models.spaces import Array, Image
from vgps_models.spread import percentiles

MARKS = "hands.json"
OWN = 1.0  # [palms] mean distance from the marks below which what is found is that hand
FAR = 0.3  # [palms] from the mark, beyond which a landmark lies on another finger or beside the hand


@dataclass(frozen=True, eq=False)
class Marked:
    """side: left or right. edge: seen from the side of the thumb, with neither palm nor back to tell it by.

    landmarks (N,): which of the 21 are marked; pixels (N, 2): where. palm: from the wrist to the middle finger's root,
    or the index finger's [px]. box (4,): left, top, right, bottom of hand and fingers [px].
    """

    side: str
    edge: bool
    landmarks: NDArray[np.intp]
    pixels: Array
    palm: float
    box: Array

    def error(self, hand: Hand) -> Array:
        """Of each landmark that is marked (N,) [palms]."""
        return np.linalg.norm(hand.pixels[self.landmarks] - self.pixels, axis=1) / self.palm


@dataclass(frozen=True, eq=False)
class Photograph:
    """covered: how many hands lie behind another, so that too little is to be seen of them to mark."""

    image: Image
    hands: Sequence[Marked]
    covered: int


def read_photographs(folder: Path) -> dict[str, Photograph]:
    """Raises DataError for marks that are missing, damaged, or of a picture that is missing."""
    path = folder / MARKS
    try:
        marks = json.loads(path.read_text(encoding="utf-8-sig"))
        return {name: _photograph(folder / name, hands) for name, hands in marks.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{path}: {error!r}; expected pictures, each with a list of the hands in it") from error


def _photograph(path: Path, hands: Sequence[dict[str, Any]]) -> Photograph:
    with Picture.open(path) as picture:
        image = np.array(picture.convert("RGB"))
    seen = [hand for hand in hands if not hand.get("covered")]
    return Photograph(image, [_marked(hand) for hand in seen], len(hands) - len(seen))


def _marked(hand: dict[str, Any]) -> Marked:
    landmarks = np.array([int(number) for number in hand["points"]])
    if not (len(landmarks) and landmarks.min() >= 0 and landmarks.max() < LANDMARKS):
        raise ValueError(f"landmarks {landmarks.tolist()}, expected some of 0 .. {LANDMARKS - 1}")
    pixels = np.array(list(hand["points"].values()), float).reshape(-1, 2)
    box = np.array(hand["box"], float).reshape(4)
    return Marked(hand["side"], hand.get("view") == "edge", landmarks, pixels, float(hand["palm"]), box)


def assign(marked: Sequence[Marked], found: Sequence[Hand]) -> list[Hand | None]:
    """Which of the found is each of the marked: the nearest pair first, none twice."""
    distance = np.array([[m.error(hand).mean() for hand in found] for m in marked]).reshape(len(marked), len(found))
    own: list[Hand | None] = [None] * len(marked)
    while distance.size and distance.min() < OWN:
        i, j = np.unravel_index(int(distance.argmin()), distance.shape)
        own[int(i)] = found[int(j)]
        distance[i], distance[:, j] = np.inf, np.inf
    return own


def measure(photographs: dict[str, Photograph], find: Callable[[Image], Sequence[Hand]]) -> dict[str, Any]:
    """error_palms: of the landmarks that are marked. far: share of them that lies beyond `FAR`."""
    errors, pixels, right, each = [np.zeros(0)], [np.zeros(0)], [], {}
    for name, photograph in photographs.items():
        found = find(photograph.image)
        pairs = [(m, h) for m, h in zip(photograph.hands, assign(photograph.hands, found), strict=True) if h]
        here = [m.error(h) for m, h in pairs]
        errors += here
        pixels += [m.error(h) * m.palm for m, h in pairs]
        right += [m.side == h.side for m, h in pairs]
        each[name] = {
            "hands": len(photograph.hands),
            "found": len(pairs),
            "covered": photograph.covered,
            "others_found": len(found) - len(pairs),
            "side_right": [m.side == h.side for m, h in pairs],
            "error_palms": [round(float(np.median(e)), 3) for e in here],
            "worst_palms": [round(float(e.max()), 3) for e in here],
        }
    palms, off = np.concatenate(errors), np.concatenate(pixels)
    return {
        "photographs": len(each),
        "hands": sum(told["hands"] for told in each.values()),
        "found": sum(told["found"] for told in each.values()),
        "others_found": sum(told["others_found"] for told in each.values()),
        "side_right": sum(right),
        "landmarks": len(palms),
        "error_px": percentiles(off),
        "error_palms": percentiles(palms),
        "far": round(float(np.mean(palms > FAR)), 3) if len(palms) else None,
        "each": each,
    }
