"""Onions and the bins they are sorted into; a bottle, the balls in it and the bowl they are poured into.

Vessels are hollow: rings of boxes that small balls run along without getting out.
"""

from __future__ import annotations

from collections.abc import Callable

import mujoco
import numpy as np

from vgps_sim.objects.base import BOX, CAPSULE, CYLINDER, ELLIPSOID, LOOKS_ONLY, SOLID, SPHERE, Thing, new_body

ONION = (0.0185, 0.0185, 0.016)  # [m] half sizes
BIN_HALF = (0.046, 0.046)  # [m] inside the walls
BIN_RIM = 0.028  # [m] of the walls above the table
BOTTLE_RADIUS, BOTTLE_LENGTH = 0.0145, 0.15  # [m] inside, and from the foot to the mouth
BOTTLE_GRASP = 0.098  # [m] of the fingers above the foot
BOWL_RADIUS, BOWL_RIM = 0.056, 0.032  # [m] inside, and of the rim above the foot
BALL_RADIUS = 0.006  # [m]
BALLS = tuple(f"ball_{i}" for i in range(8))
FLOOR = 0.003  # [m] half the thickness of what a vessel stands on; frames are in its middle


def _onion(*, blemished: bool) -> Callable[[mujoco.MjSpec, str], None]:
    def add(spec: mujoco.MjSpec, name: str) -> None:
        body = new_body(spec, name)
        skin, stem = [0.86, 0.62, 0.3, 1.0], [0.62, 0.48, 0.24, 1.0]
        body.add_geom(
            type=ELLIPSOID, size=list(ONION), mass=0.05, friction=[1.0, 0.02, 0.003], condim=6, rgba=skin, **SOLID
        )
        body.add_geom(type=CAPSULE, size=[0.0028, 0.003, 0], pos=[0, 0, ONION[2] + 0.002], rgba=stem, **LOOKS_ONLY)
        if not blemished:
            return
        dark = {"rgba": [0.2, 0.12, 0.07, 1.0], **LOOKS_ONLY}
        for angle, height, size in SPOTS:  # whoever looks on sees one of them, wherever from
            up, c, s = ONION[2] * np.sin(height), np.cos(angle) * np.cos(height), np.sin(angle) * np.cos(height)
            at = [0.97 * ONION[0] * c, 0.97 * ONION[1] * s, 0.97 * up]
            body.add_geom(type=ELLIPSOID, size=[size, size, 0.7 * size], pos=at, **dark)

    return add


SPOTS = ((0.2, 0.75, 0.0075), (1.9, 0.4, 0.0065), (3.3, 0.85, 0.007), (4.4, 0.3, 0.0075), (5.6, 0.35, 0.006))


def _bin(colour: tuple[float, float, float]) -> Callable[[mujoco.MjSpec, str], None]:
    def add(spec: mujoco.MjSpec, name: str) -> None:
        body = new_body(spec, name)
        plastic = {"rgba": [*colour, 1.0], "friction": [0.6, 0.01, 0.001], **SOLID}
        (x, y), wall, height = BIN_HALF, 0.003, BIN_RIM / 2
        body.add_geom(type=BOX, size=[x, y, FLOOR], mass=0.35, **plastic)
        for sign in (-1.0, 1.0):
            body.add_geom(type=BOX, size=[wall, y, height], pos=[sign * x, 0, height - FLOOR], mass=0.05, **plastic)
            body.add_geom(type=BOX, size=[x, wall, height], pos=[0, sign * y, height - FLOOR], mass=0.05, **plastic)

    return add


def _ring(
    body: mujoco.MjsBody, *, inside: float, low: float, high: float, sides: int, wall: float = 0.0025, mass: float,
    **looks: object,
) -> None:  # fmt: skip
    """A wall of `sides` boxes around the z axis: inner radius, from `low` to `high`, `wall` half as thick as it is."""
    half = (inside + 2 * wall) * np.tan(np.pi / sides)
    for number in range(sides):
        angle = 2 * np.pi * number / sides
        at = (inside + wall) * np.array([np.cos(angle), np.sin(angle)])
        body.add_geom(
            type=BOX, size=[wall, half, (high - low) / 2], pos=[*at, (low + high) / 2],
            quat=[np.cos(angle / 2), 0, 0, np.sin(angle / 2)], mass=mass / sides, **looks,
        )  # fmt: skip


def _bottle(spec: mujoco.MjSpec, name: str) -> None:
    body = new_body(spec, name)
    glass = {"rgba": [0.24, 0.5, 0.4, 1.0], "friction": [0.8, 0.02, 0.001], "condim": 4, **SOLID}
    # A heavy foot, so that it stands when it is touched.
    body.add_geom(type=CYLINDER, size=[BOTTLE_RADIUS + 0.006, FLOOR, 0], mass=0.06, **glass)
    _ring(body, inside=BOTTLE_RADIUS, low=FLOOR, high=BOTTLE_LENGTH, sides=8, mass=0.03, **glass)
    band = {"rgba": [0.93, 0.9, 0.8, 1.0], **LOOKS_ONLY}
    body.add_geom(type=CYLINDER, size=[BOTTLE_RADIUS + 0.0062, 0.016, 0], pos=[0, 0, 0.045], **band)


def _bowl(spec: mujoco.MjSpec, name: str) -> None:
    body = new_body(spec, name)
    clay = {"rgba": [0.78, 0.36, 0.22, 1.0], "friction": [0.6, 0.01, 0.002], **SOLID}
    body.add_geom(type=CYLINDER, size=[BOWL_RADIUS + 0.004, FLOOR, 0], mass=0.3, **clay)
    _ring(body, inside=BOWL_RADIUS, low=-FLOOR, high=BOWL_RIM, sides=16, mass=0.1, **clay)


def _ball(spec: mujoco.MjSpec, name: str) -> None:
    # Smooth whatever they touch (a higher priority decides): two rows that roll against each other jam.
    new_body(spec, name).add_geom(
        type=SPHERE, size=[BALL_RADIUS, 0, 0], mass=0.002, friction=[0.15, 0.002, 0.0002], condim=3, priority=1,
        rgba=[0.95, 0.86, 0.2, 1.0], **SOLID,
    )  # fmt: skip


KITCHEN: dict[str, Thing] = {
    t.name: t
    for t in (
        Thing("good_onion", _onion(blemished=False), 0.03, ONION[2], 0.009, 0, width=0.037),
        Thing("blemished_onion", _onion(blemished=True), 0.03, ONION[2], 0.009, 0, width=0.037),
        Thing("green_bin", _bin((0.3, 0.62, 0.36)), 0.066, FLOOR, 0.0, 4, top=2 * FLOOR, rim=BIN_RIM),
        Thing("red_bin", _bin((0.75, 0.2, 0.18)), 0.066, FLOOR, 0.0, 4, top=2 * FLOOR, rim=BIN_RIM),
        Thing("bottle", _bottle, 0.035, FLOOR, BOTTLE_GRASP, 0, width=2 * (BOTTLE_RADIUS + 0.005)),
        Thing("bowl", _bowl, 0.065, FLOOR, 0.0, 0, top=2 * FLOOR),
        *(Thing(ball, _ball, 0.0, BALL_RADIUS, 0.0, 0, width=2 * BALL_RADIUS) for ball in BALLS),
    )
}
