"""Recordings in which colour and depth come one after the other, each with its stamp, and belong together in pairs."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from vgps_models.bags.clock import nearest
from vgps_models.errors import DataError
from vgps_models.keypoints.camera import Intrinsics
from vgps_models.rgbd.recording import Faults, Frame, Recording
from vgps_models.spaces import Array, Image

COLOUR, DEPTH = "colour", "depth"
ALONE = 100_000_000  # [ns] what counts as the period of a single picture

Stamps = NDArray[np.int64]  # [ns], rising
Came = tuple[str, int, Callable[[], Array | Image]]  # colour or depth, its stamp [ns], what decodes it


class PairedRecording(Recording):
    """A colour is paired with the depth nearest to it."""

    def __init__(
        self, name: str, camera: Intrinsics, colours: Collection[int], depths: Collection[int], faults: Faults
    ) -> None:
        """colours, depths: stamps [ns] of all pictures, in any order."""
        stamps = np.array(sorted(colours), np.int64)
        super().__init__(name, camera, (stamps - stamps[:1]) * np.float64(1e-9), None, faults)
        self._partner = partners(stamps, np.array(sorted(depths), np.int64))
        if lost := sum(at is None for at in self._partner.values()):
            faults.add("colour without depth", f"{lost} of {len(stamps)} frames")

    @abstractmethod
    def pictures(self) -> Iterator[Came]:
        """All pictures in the order of the file."""

    def frames(self) -> Iterator[Frame]:
        partner, stamps = self._partner, list(self._partner)
        wanted = {at: stamp for stamp, at in partner.items() if at is not None}
        waiting: dict[int, dict[str, Any]] = {stamp: {} for stamp in partner}
        row = 0
        for what, stamp, decode in self.pictures():
            if what == DEPTH:
                stamp = wanted.get(stamp, -1)
            if stamp in waiting and what not in waiting[stamp]:
                waiting[stamp][what] = self._decoded(what, decode)
            while row < len(stamps) and _whole(waiting[stamps[row]], partner[stamps[row]]):
                there = waiting.pop(stamps[row])
                yield self.checked(row, there[COLOUR], there.get(DEPTH))
                row += 1
        for number in range(row, len(stamps)):  # whose partner never came
            there = waiting[stamps[number]]
            yield self.checked(number, there.get(COLOUR), there.get(DEPTH))

    def _decoded(self, what: str, decode: Callable[[], Array | Image]) -> Array | Image | None:
        try:
            return decode()
        except (DataError, OSError, ValueError) as error:
            self.faults.add(f"unreadable {what}", str(error) or type(error).__name__)
            return None


def partners(stamps: Stamps, depths: Stamps) -> dict[int, int | None]:
    """Of every stamp of colour, in order, that of the depth that goes with it, if there is one [ns].

    Shutters that nothing synchronises are apart, by up to half a period, and always by about the same. So depth is
    expected that much later; two go together when nothing is nearer to either, less than half a period away from that.
    """
    made: dict[int, int | None] = dict.fromkeys(stamps.tolist())
    if not len(stamps) or not len(depths):
        return made
    period = np.median(np.diff(stamps)) if len(stamps) > 1 else ALONE
    phases = np.exp(2j * np.pi * (depths[nearest(depths, stamps)] - stamps) / period).mean()
    steady = abs(phases) > 0.5  # not so with other rates
    due = stamps + (int(np.angle(phases) / (2 * np.pi) * period) if steady else 0)
    there = nearest(depths, due)
    mutual = (nearest(due, depths)[there] == np.arange(len(due))) & (abs(depths[there] - due) < period / 2)
    return made | dict(zip(stamps[mutual].tolist(), depths[there[mutual]].tolist(), strict=True))


def _whole(there: Mapping[str, Any], partner: int | None) -> bool:
    return COLOUR in there and (partner is None or DEPTH in there)
