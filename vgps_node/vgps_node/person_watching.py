"""A person over a whole recording: looked at frame by frame, then all of it at one rate; what is wrong is told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from vgps_models.errors import DataError
from vgps_models.keypoints.paths import PathConfig, cleaned
from vgps_models.keypoints.person import ARM, PersonSeen, PersonWatcher
from vgps_models.rgbd.recording import Faults, Recording
from vgps_models.spaces import Array, Image
from vgps_sim.human.skeleton import INDEX_TIP, THUMB_TIP, fit_hand

PALM = (0.06, 0.13)  # [m] from the wrist to the middle knuckle, of anybody
STEADY = 0.15  # relative deviation of a forearm's length from which on something is wrong
LEAST = 0.2  # share of the frames in which the hand has to be found
LOST = 8  # of 21 landmarks without depth: the hand is full of holes
HIDDEN, OFTEN = 0.02, 0.4  # [m] so far behind what is seen a fingertip is hidden; share of frames from which it is told
PICTURES = 10  # frames that are kept for the page


@dataclass(frozen=True, eq=False)
class Watched:
    """Of T frames: hand (T, 21, 3) and arm (T, 3, 3) in the camera's frame [m], NaN where unknown; sure (T, 24) 0..1.

    pixels (T, 21, 2): of the hand. pictures: some frames with what was seen in them. depth: of the first that has any.
    """

    seconds: Array
    hand: Array
    arm: Array
    sure: Array
    pixels: Array
    depth: Array | None
    pictures: list[tuple[Image, PersonSeen]]


@dataclass(frozen=True, eq=False)
class Smoothed:
    """Hand (T, 21, 3) and arm (T, 3, 3) in the camera's frame [m], at one rate, all known. first: its first frame."""

    hand: Array
    arm: Array
    period: float
    first: int

    @property
    def gap(self) -> Array:
        """Between the tips of thumb and index finger (T,) [m]."""
        return np.linalg.norm(self.hand[:, 4] - self.hand[:, 8], axis=1)


def watch(recording: Recording, look: PersonWatcher, progress: Callable[[int, int], None]) -> Watched:
    """Look at every frame; what is wrong goes to the recording's faults."""
    count, faults = len(recording), recording.faults
    hand, arm, sure = np.full((count, 21, 3), np.nan), np.full((count, 3, 3), np.nan), np.zeros((count, 24))
    pixels = np.full((count, 21, 2), np.nan)
    sides, depth = Counter[str](), None
    pictures: list[tuple[Image, PersonSeen]] = []
    wanted = set(np.linspace(0, count - 1, PICTURES).round().astype(int).tolist())
    called: list[tuple[float, str]] = []
    for row, frame in enumerate(recording.frames()):
        progress(row + 1, count)
        if frame.rgb is None or frame.depth is None:
            continue
        depth = frame.depth if depth is None else depth
        seen = look(frame.rgb, frame.depth)
        hand[row], arm[row] = seen.hand.position, seen.arm.position
        pixels[row] = seen.hand_pixels
        sure[row] = np.r_[seen.hand.confidence, seen.arm.confidence]
        if row in wanted:
            pictures.append((frame.rgb, seen))
        if seen.side:
            sides[seen.side] += 1
            called.append((frame.seconds, seen.side))
            if (~seen.hand.known).sum() > LOST:
                faults.add("hand without depth", f"at {frame.seconds:.2f} s {(~seen.hand.known).sum()} of 21 landmarks")
        elif seen.hands:
            faults.add("another's hand", f"at {frame.seconds:.2f} s, away from the arm's wrist")
    usual = sides.most_common(1)[0][0] if sides else ""
    for at, side in called:
        if side != usual:
            faults.add("left and right swapped", f"at {at:.2f} s the hand is called a {side} one, mostly a {usual} one")
    if usual == "left":
        faults.add("left hand", "taken for a right one; if the pictures are mirrored, mirror them back")
    return Watched(recording.seconds, hand, arm, sure, pixels, depth, pictures)


def even(watched: Watched, recording: Recording, config: PathConfig) -> Smoothed:
    """From the first frame to the last in which a hand was found."""
    faults = recording.faults
    _judge_size(watched.hand, faults)
    hand = fitted(watched, recording)
    known = np.flatnonzero(np.isfinite(hand[:, 0]).all(-1))
    if len(known) < max(4, LEAST * len(recording)):
        raise DataError(
            f"{recording.name}: a hand with depth is found in {len(known)} of {len(recording)} frames, too few to go by"
            + _besides(faults)
        )
    for k, share in enumerate(shares(watched.arm)):
        if share < LEAST:
            raise DataError(
                f"{recording.name}: the {ARM[k]} is seen in {share:.0%} of the frames; film from farther off, so that "
                f"all of the arm is in the picture{_besides(faults)}"
            )
    inside = slice(known[0], known[-1] + 1)
    seconds = watched.seconds[inside]
    parts = {"hand": hand[inside], **{name: watched.arm[inside, k : k + 1] for k, name in enumerate(ARM)}}
    bridged: list[Array] = []
    for name, points in parts.items():
        path, long = cleaned(points, seconds, config)
        bridged.append(path)
        for began, length in long:
            faults.add(
                "out of sight", f"the {name} for {length:.2f} s from {began:.2f} s on; bridged in a straight line"
            )
    made = np.concatenate(bridged, axis=1)
    fore = np.linalg.norm(made[:, 23] - made[:, 22], axis=1)
    if fore.std() > STEADY * fore.mean():
        faults.add("unsteady size", f"the forearm's length varies by {fore.std() / fore.mean():.0%}")
    even = np.arange(seconds[0], seconds[-1] + 1e-9, recording.period)
    flat = made.reshape(len(made), -1)
    made = np.stack([np.interp(even, seconds, column) for column in flat.T], axis=1).reshape(len(even), -1, 3)
    return Smoothed(made[:, :21], made[:, 21:], recording.period, int(known[0]))


def fitted(watched: Watched, recording: Recording) -> Array:
    """The hand as bones, for landmarks that are hidden have the depth of what hides them. (T, 21, 3) [m]."""
    if not np.isfinite(watched.hand).any():
        return watched.hand
    hand, _ = fit_hand(watched.pixels, watched.hand[..., 2], recording.camera, recording.period)
    tips = [THUMB_TIP, INDEX_TIP]
    hidden = float((hand[:, tips, 2] - watched.hand[:, tips, 2] > HIDDEN).any(1).mean())
    if hidden > OFTEN:
        recording.faults.add(
            "fingertips out of sight",
            f"in {hidden:.0%} of the frames thumb or index finger are behind something; film from the thumb's side",
        )
    return hand


def _judge_size(hand: Array, faults: Faults) -> None:
    """A hand that nobody has. hand (T, 21, 3): as it was lifted, where both ends of the palm have depth."""
    palm = np.linalg.norm(hand[:, 9] - hand[:, 0], axis=1)
    if np.isfinite(palm).any() and not PALM[0] < (usual := float(np.nanmedian(palm))) < PALM[1]:
        faults.add(
            "implausible size",
            f"a palm of {100 * usual:.1f} cm: intrinsics or the unit of depth may be those of another stream",
        )


def _besides(faults: Faults) -> str:
    """What else was noticed, for an error that it may explain."""
    return "".join(f"; {line}" for line in faults.lines())


def shares(arm: Array) -> list[float]:
    """Of the frames in which each joint of an arm (T, 3, 3) is seen."""
    return [round(float(share), 3) for share in np.isfinite(arm).all(-1).mean(0)]
