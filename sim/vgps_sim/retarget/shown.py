"""What a person has shown: an arm, and where its fingers met; from points that were seen of it.

A gripper takes the place of thumb and index finger. Where both tips are is seen; how the gripper lies in the hand is
not drawn from them anew in every frame, for when they touch, the line between them says nothing: its usual
rotation against the palm counts, which six joints tell well.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.spatial.transform import Rotation

from vgps_models.errors import DataError
from vgps_models.spaces import Array
from vgps_models.turns import turned
from vgps_sim.retarget.human import Arm
from vgps_sim.retarget.refine import Path

WRIST, PALM = 0, (0, 1, 5, 9, 13, 17)  # landmarks: the wrist, and what moves with it
THUMB, INDEX, MIDDLE, LITTLE = (3, 4), (7, 8), 9, 17  # last joints and tips; knuckles
SEAT = np.array([0.28, 0.0])  # [m] where the middle of what is done lies before an arm's base


@dataclass(frozen=True, eq=False)
class Shown:
    """arm: the person's, in the base frame [m]. tip: where a gripper would be."""

    arm: Arm
    tip: Path


def shown(hand: Array, arm: Array, period: float) -> Shown:
    """From a right hand's 21 landmarks (T, 21, 3) and shoulder, elbow, wrist (T, 3, 3), in a frame with z up [m].

    period: seconds a frame. Raises DataError where anything is unknown.
    """
    palm = palm_axes(hand)
    wrist = (hand[:, WRIST] + arm[:, 2]) / 2
    pinch = pinch_axes(hand, palm)
    tip = (hand[:, THUMB[1]] + hand[:, INDEX[1]]) / 2
    return Shown(Arm(arm[:, 0], arm[:, 1], wrist, palm), Path(tip, pinch, period))


def palm_axes(hand: Array) -> Array:
    """Axes of the palm (T, 3, 3) in its columns: x along the fingers, z out of its back, y to the thumb's side."""
    if not np.isfinite(hand).all():
        raise DataError("a hand of which landmarks are unknown; bridge its gaps first")
    first = np.stack([_axes(each[MIDDLE] - each[WRIST], each[INDEX[0] - 2] - each[LITTLE]) for each in hand])
    local = np.einsum("tji,tkj->tki", first, hand[:, PALM] - hand[:, [WRIST]])
    shape = np.median(local, axis=0)  # of this palm, as it is over the whole recording
    shape -= shape.mean(0)
    made = [Rotation.align_vectors(each - each.mean(0), shape)[0].as_matrix() for each in hand[:, PALM]]
    return np.stack(made)


def pinch_axes(hand: Array, palm: Array) -> Array:
    """Of a gripper in the fingers' place (T, 3, 3): x along the last bones, y from thumb to index finger."""
    along = (hand[:, THUMB[1]] - hand[:, THUMB[0]]) + (hand[:, INDEX[1]] - hand[:, INDEX[0]])
    across = hand[:, INDEX[1]] - hand[:, THUMB[1]]
    usual = [np.median(np.einsum("tji,tj->ti", palm, each), axis=0) for each in (along, across)]
    return palm @ _axes(*usual)


def _axes(x: Array, y: Array) -> Array:
    """Columns: x, what of y is square to it, and where these leave it."""
    x = x / np.linalg.norm(x)
    y = y - (y @ x) * x
    y = y / np.linalg.norm(y)
    return np.stack([x, y, np.cross(x, y)], axis=1)


def seated(person: Shown) -> Shown:
    """As if the arm stood where the person is: turned about the vertical and moved along the table, heights kept."""
    tip, shoulder = person.tip.position[:, :2].mean(0), person.arm.shoulder[:, :2].mean(0)
    forward = tip - shoulder
    turn = turned(-float(np.arctan2(forward[1], forward[0])))
    move = np.append(SEAT - turn[:2, :2] @ tip, 0.0)
    return moved(person, turn, move)


def above(person: Shown, lowest: float) -> Shown:
    """Fingertips at least so high [m]: whatever was seen, they were not in the table."""
    position = person.tip.position.copy()
    position[:, 2] = np.maximum(position[:, 2], lowest)
    return replace(person, tip=replace(person.tip, position=position))


def moved(person: Shown, turn: Array, move: Array) -> Shown:
    """In another frame: points p become turn p + move."""

    def put(points: Array) -> Array:
        return points @ turn.T + move

    arm, tip = person.arm, person.tip
    return Shown(
        Arm(put(arm.shoulder), put(arm.elbow), put(arm.wrist), turn @ arm.hand),
        Path(put(tip.position), turn @ tip.rotation, tip.period),
    )
