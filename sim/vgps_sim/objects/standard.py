"""The things of the four standard tasks, built from primitives: each function adds one body to a spec.

Every object has a frame in the middle of its footprint. Lengths in metres, masses in kilograms.
"""

from __future__ import annotations

from collections.abc import Callable

import mujoco

from vgps_sim.objects.base import ALONG_X, BOX, CAPSULE, CYLINDER, ELLIPSOID, LOOKS_ONLY, SOLID, Thing, new_body


def _spoon(spec: mujoco.MjSpec, name: str) -> None:
    body = new_body(spec, name)
    colour = [0.72, 0.74, 0.78, 1.0]
    grip = {"friction": [1.0, 0.02, 0.002], "condim": 6, "rgba": colour, **SOLID}
    body.add_geom(type=CAPSULE, size=[0.0065, 0.036, 0], pos=[-0.015, 0, 0], quat=ALONG_X, mass=0.02, **grip)
    body.add_geom(type=ELLIPSOID, size=[0.022, 0.0155, 0.0065], pos=[0.041, 0, 0], mass=0.012, **grip)
    body.add_geom(
        type=ELLIPSOID, size=[0.016, 0.011, 0.001], pos=[0.041, 0, 0.0058], rgba=[0.5, 0.52, 0.57, 1], **LOOKS_ONLY
    )


def _carrot(spec: mujoco.MjSpec, name: str) -> None:
    body = new_body(spec, name)
    orange, leaf = [0.95, 0.45, 0.08, 1.0], [0.2, 0.55, 0.16, 1.0]
    body.add_geom(
        type=CAPSULE, size=[0.0115, 0.026, 0], quat=ALONG_X, mass=0.04, friction=[1.0, 0.02, 0.002], condim=6,
        rgba=orange, **SOLID,
    )  # fmt: skip
    body.add_geom(type=ELLIPSOID, size=[0.016, 0.0095, 0.0095], pos=[0.036, 0, 0], rgba=orange, **LOOKS_ONLY)
    for y, z in ((0.0, 0.004), (0.006, 0.0), (-0.006, 0.0)):
        body.add_geom(type=ELLIPSOID, size=[0.014, 0.003, 0.003], pos=[-0.049, y, z], rgba=leaf, **LOOKS_ONLY)


def _eggplant(spec: mujoco.MjSpec, name: str) -> None:
    body = new_body(spec, name)
    purple, green = [0.29, 0.08, 0.36, 1.0], [0.22, 0.45, 0.18, 1.0]
    body.add_geom(
        type=CAPSULE, size=[0.0165, 0.022, 0], quat=ALONG_X, mass=0.05, friction=[1.0, 0.02, 0.002], condim=6,
        rgba=purple, **SOLID,
    )  # fmt: skip
    body.add_geom(type=ELLIPSOID, size=[0.021, 0.0185, 0.0175], pos=[0.018, 0, 0.0005], rgba=purple, **LOOKS_ONLY)
    body.add_geom(type=ELLIPSOID, size=[0.008, 0.0135, 0.0135], pos=[-0.036, 0, 0], rgba=green, **LOOKS_ONLY)
    body.add_geom(type=CAPSULE, size=[0.0035, 0.007, 0], pos=[-0.048, 0, 0], quat=ALONG_X, rgba=green, **LOOKS_ONLY)


def _block(colour: tuple[float, float, float]) -> Callable[[mujoco.MjSpec, str], None]:
    def add(spec: mujoco.MjSpec, name: str) -> None:
        new_body(spec, name).add_geom(
            type=BOX, size=[0.019, 0.019, 0.019], mass=0.05, friction=[1.0, 0.02, 0.001], condim=4,
            rgba=[*colour, 1.0], **SOLID,
        )  # fmt: skip

    return add


def _towel(spec: mujoco.MjSpec, name: str) -> None:
    body = new_body(spec, name, movable=False)
    body.add_geom(type=BOX, size=[0.055, 0.055, 0.0015], rgba=[0.25, 0.45, 0.78, 1], **SOLID)
    for y in (-0.042, 0.042):
        body.add_geom(type=BOX, size=[0.0551, 0.005, 0.0016], pos=[0, y, 0], rgba=[0.92, 0.93, 0.95, 1], **LOOKS_ONLY)


def _plate(spec: mujoco.MjSpec, name: str) -> None:
    body = new_body(spec, name)
    white = [0.93, 0.92, 0.88, 1]
    body.add_geom(type=CYLINDER, size=[0.058, 0.003, 0], mass=0.35, rgba=white, friction=[1.0, 0.02, 0.001], **SOLID)
    body.add_geom(type=CYLINDER, size=[0.066, 0.0015, 0], pos=[0, 0, 0.0045], rgba=[0.45, 0.62, 0.8, 1], **LOOKS_ONLY)
    body.add_geom(type=CYLINDER, size=[0.056, 0.0016, 0], pos=[0, 0, 0.0046], rgba=white, **LOOKS_ONLY)


def _basket(spec: mujoco.MjSpec, name: str) -> None:
    body = new_body(spec, name)
    straw = {"rgba": [0.83, 0.66, 0.36, 1], "friction": [0.6, 0.01, 0.001], **SOLID}
    x, y, wall, height = BASKET_HALF[0], BASKET_HALF[1], 0.003, 0.021
    body.add_geom(type=BOX, size=[x, y, 0.003], mass=0.3, **straw)
    for sign in (-1.0, 1.0):
        body.add_geom(type=BOX, size=[wall, y, height], pos=[sign * x, 0, height - 0.003], mass=0.05, **straw)
        body.add_geom(type=BOX, size=[x, wall, height], pos=[0, sign * y, height - 0.003], mass=0.05, **straw)


BASKET_HALF = (0.062, 0.055)  # [m] inside the walls

THINGS: dict[str, Thing] = {
    t.name: t
    for t in (
        Thing("spoon", _spoon, 0.06, 0.0065, 0.004, 2, width=0.013),
        Thing("carrot", _carrot, 0.055, 0.0115, 0.005, 2, width=0.023),
        Thing("eggplant", _eggplant, 0.055, 0.0175, 0.008, 2, width=0.034),
        Thing("green_block", _block((0.16, 0.6, 0.22)), 0.05, 0.019, 0.012, 4),
        Thing("yellow_block", _block((0.95, 0.8, 0.13)), 0.04, 0.019, 0.012, 4, top=0.038),
        Thing("towel", _towel, 0.075, 0.0015, 0.0, 4, movable=False, top=0.003),
        Thing("plate", _plate, 0.068, 0.003, 0.0, 0, top=0.006),
        Thing("basket", _basket, 0.085, 0.003, 0.0, 2, top=0.006),
    )
}
