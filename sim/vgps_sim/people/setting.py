"""The scene of one performance: table, light, room, sizes and colours, and what else lies about."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from vgps_models.spaces import Array
from vgps_sim.objects import BOX, CAPSULE, CYLINDER, ELLIPSOID, LOOKS_ONLY, SOLID, SPHERE, THINGS, get_thing
from vgps_sim.people.parts import Embodiment
from vgps_sim.people.views import View
from vgps_sim.scene import furnish, look_at
from vgps_sim.tasks import REGION_HIGH, REGION_LOW, Place, Pouring, Task

SIZES = (0.88, 1.12)  # factors of a thing's size; the tasks' heights hold for all of them
TOGETHER = (0.94, 1.08)  # where things have to fit
ROOM = 0.025  # [m] more than a gripper of the robot needs between things, for wider fingers
TEXTURE = 128  # [px]
TABLE_LOW, TABLE_HIGH = np.array([-0.10, -0.46]), np.array([0.56, 0.46])  # [m]

Clutter = tuple[tuple[float, float, float], ...]


@dataclass(frozen=True)
class Setting:
    """What was laid out. places: of the task's things; scales: factors of their sizes. clutter: x, y and radius [m] of
    all else on the table."""

    spec: mujoco.MjSpec
    places: dict[str, Place]
    scales: dict[str, float]
    clutter: Clutter


def make_setting(
    task: Task, embodiment: Embodiment, views: Sequence[View], places: dict[str, Place], rng: np.random.Generator
) -> Setting:
    """A table with the task's things at `places` and the embodiment over it; its looks are drawn from `rng`."""
    spec = mujoco.MjSpec()
    furnish(spec)
    _room(spec, rng)
    scales: dict[str, float] = {}
    # What is poured has to fit through and into the others.
    common = float(rng.uniform(*TOGETHER)) if isinstance(task, Pouring) else None
    for name in task.things:
        get_thing(name).add(spec, name)
        scales[name] = common or float(rng.uniform(*SIZES))
        _resize(spec.body(name), scales[name])
        _tint(spec.body(name), rng)
    clutter = _clutter(spec, task, places, rng)
    embodiment.add(spec)
    for view in views:
        spec.worldbody.add_camera(
            name=view.name, pos=view.camera.position, quat=look_at(view.camera), fovy=view.camera.fovy
        )
    return Setting(spec, places, scales, clutter)


def _resize(body: mujoco.MjsBody, factor: float) -> None:
    for geom in body.geoms:
        geom.size, geom.pos = geom.size * factor, geom.pos * factor


def _tint(body: mujoco.MjsBody, rng: np.random.Generator) -> None:
    """One shade for the whole thing, so that it still is what its name says."""
    factor = rng.uniform(0.8, 1.2) * rng.uniform(0.92, 1.08, 3)
    for geom in body.geoms:
        geom.rgba = [*np.clip(geom.rgba[:3] * factor, 0, 1), 1.0]


def _room(spec: mujoco.MjSpec, rng: np.random.Generator) -> None:
    wood = spec.texture("wood")
    wood.builtin, wood.mark = mujoco.mjtBuiltin.mjBUILTIN_NONE, mujoco.mjtMark.mjMARK_NONE
    wood.width = wood.height = TEXTURE
    wood.nchannel, wood.data = 3, pattern(rng).tobytes()
    table = spec.material("table")
    table.texrepeat, table.specular = rng.uniform(0.8, 3.0, 2), float(rng.uniform(0.0, 0.3))
    wall = spec.texture("wall")
    wall.rgb1 = np.clip(rng.uniform(0.15, 0.95) + rng.normal(0, 0.12, 3), 0, 1)
    wall.rgb2 = np.clip(wall.rgb1 * rng.uniform(0.4, 1.0) + rng.normal(0, 0.05, 3), 0, 1)
    spec.worldbody.add_geom(
        type=BOX, size=[2.5, 2.5, 0.01], pos=[0.3, 0, -0.75], rgba=[*rng.uniform(0.1, 0.8, 3), 1.0], **LOOKS_ONLY
    )
    for _ in range(rng.integers(4)):  # furniture that the eye passes over
        angle, far = rng.uniform(-np.pi, np.pi), rng.uniform(1.2, 1.9)
        size = rng.uniform([0.1, 0.1, 0.2], [0.5, 0.5, 0.8])
        at = [0.3 + far * np.cos(angle), far * np.sin(angle), size[2] - 0.74]
        spec.worldbody.add_geom(type=BOX, size=size, pos=at, rgba=[*rng.uniform(0.1, 0.9, 3), 1.0], **LOOKS_ONLY)
    lamp, head = spec.light("lamp"), spec.visual.headlight
    lamp.dir = [*rng.uniform(-0.9, 0.9, 2), -1.0]
    warmth = np.array([1.0, 1.0, 1.0]) + rng.uniform(-0.12, 0.12) * np.array([1.0, 0.1, -1.0])
    lamp.diffuse = rng.uniform(0.25, 0.55) * warmth
    head.ambient, head.diffuse = rng.uniform(0.27, 0.42) * warmth, rng.uniform(0.15, 0.38) * warmth


def pattern(rng: np.random.Generator) -> Array:
    """A table top: plain, wood, stone, cloth with stripes or checks. Shape (TEXTURE, TEXTURE, 3) uint8."""
    base = np.clip(rng.uniform(0.22, 0.9) + rng.normal(0, 0.13, 3), 0.03, 0.97)
    other = np.clip(base + rng.choice([-1, 1]) * rng.uniform(0.05, 0.3) + rng.normal(0, 0.05, 3), 0, 1)
    y, x = np.mgrid[0:TEXTURE, 0:TEXTURE] / TEXTURE * 2 * np.pi
    kind = rng.choice(["plain", "wood", "stone", "stripes", "checks"], p=[0.25, 0.3, 0.2, 0.12, 0.13])
    if kind == "plain":
        mix = rng.uniform(0, 0.12, (TEXTURE, TEXTURE))
    elif kind == "wood":
        wave = np.sin(x + rng.uniform(0, 6)) + 0.5 * np.sin(2 * x + rng.uniform(0, 6))
        mix = 0.5 + 0.5 * np.sin(rng.integers(6, 16) * y + rng.uniform(0.5, 2.0) * wave)
        mix = 0.6 * mix + rng.uniform(0, 0.4, (1, TEXTURE)).repeat(TEXTURE, 0).T
    elif kind == "stone":
        mix = (rng.random((TEXTURE, TEXTURE)) < rng.uniform(0.04, 0.25)) * rng.uniform(0.3, 1.0)
    else:
        n, width = rng.integers(2, 9), rng.uniform(-0.6, 0.6)
        mix = (np.sin(n * x) > width).astype(float)
        if kind == "checks":
            mix = 0.5 * mix + 0.5 * (np.sin(n * y) > width)
    return (255 * (base + mix[..., None] * (other - base))).clip(0, 255).astype(np.uint8)


def _clutter(spec: mujoco.MjSpec, task: Task, places: dict[str, Place], rng: np.random.Generator) -> Clutter:
    """Things that nobody asked for: around the working place, and now and then a small one within it."""
    taken = [(place.x, place.y, get_thing(name).radius + ROOM) for name, place in places.items()]
    spare = [n for n in THINGS if n not in task.things and get_thing(n).movable]
    for number in range(rng.integers(5)):
        name = str(rng.choice(spare)) if spare and rng.random() < 0.4 else ""
        radius = get_thing(name).radius if name else 0.055
        if (at := _free_place(taken, radius, within=bool(name) and rng.random() < 0.3, rng=rng)) is None:
            continue
        taken.append((*at, radius))
        if name:
            spare.remove(name)
            get_thing(name).add(spec, name)
            body = spec.body(name)
            spec.delete(body.joints[0])  # it stays where it is
            body.pos, yaw = [*at, get_thing(name).rest_height], rng.uniform(-np.pi, np.pi)
            body.quat = [np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)]
            _tint(body, rng)
        else:
            body = spec.worldbody.add_body(name=f"clutter_{number}", pos=[*at, 0.0])
            yaw = rng.uniform(-np.pi, np.pi)
            body.quat = [np.cos(yaw / 2), 0, 0, np.sin(yaw / 2)]
            ODDMENTS[rng.integers(len(ODDMENTS))](body, rng.uniform(0.05, 0.95, 3), rng)
    return tuple(taken[len(places) :])


def _free_place(
    taken: Sequence[tuple[float, float, float]], radius: float, *, within: bool, rng: np.random.Generator
) -> tuple[float, float] | None:
    for _ in range(30):
        x, y = rng.uniform(REGION_LOW, REGION_HIGH) if within else rng.uniform(TABLE_LOW, TABLE_HIGH)
        beside = abs(y) > 0.24 or x < 0.07
        if (within or beside) and all(np.hypot(x - a, y - b) > radius + r for a, b, r in taken):
            return float(x), float(y)
    return None


def _cup(body: mujoco.MjsBody, colour: Array, rng: np.random.Generator) -> None:
    r, h = rng.uniform(0.025, 0.036), rng.uniform(0.03, 0.045)
    body.add_geom(type=CYLINDER, size=[r, h, 0], pos=[0, 0, h], rgba=[*colour, 1], **SOLID)
    body.add_geom(type=CYLINDER, size=[0.85 * r, 0.001, 0], pos=[0, 0, 2 * h], rgba=[*(0.4 * colour), 1], **LOOKS_ONLY)
    body.add_geom(
        type=CAPSULE, size=[0.004, 0, 0], fromto=[r + 0.01, 0, 0.5 * h, r + 0.01, 0, 1.5 * h], rgba=[*colour, 1],
        **LOOKS_ONLY,
    )  # fmt: skip


def _ball(body: mujoco.MjsBody, colour: Array, rng: np.random.Generator) -> None:
    r = rng.uniform(0.018, 0.035)
    body.add_geom(type=SPHERE, size=[r, 0, 0], pos=[0, 0, r], rgba=[*colour, 1], **SOLID)


def _book(body: mujoco.MjsBody, colour: Array, rng: np.random.Generator) -> None:
    x, y, h = rng.uniform([0.03, 0.025, 0.004], [0.045, 0.035, 0.014])
    body.add_geom(type=BOX, size=[x, y, h], pos=[0, 0, h], rgba=[*colour, 1], **SOLID)
    body.add_geom(
        type=BOX, size=[0.97 * x, 1.002 * y, 0.7 * h], pos=[0, 0, h], rgba=[0.93, 0.91, 0.86, 1], **LOOKS_ONLY
    )


def _fruit(body: mujoco.MjsBody, colour: Array, rng: np.random.Generator) -> None:
    x, y, z = rng.uniform(0.02, 0.034, 3)
    body.add_geom(type=ELLIPSOID, size=[x, y, z], pos=[0, 0, z], rgba=[*colour, 1], **SOLID)
    body.add_geom(
        type=CAPSULE, size=[0.002, 0, 0], fromto=[0, 0, 1.9 * z, 0.004, 0, 2.3 * z], rgba=[0.3, 0.22, 0.1, 1],
        **LOOKS_ONLY,
    )  # fmt: skip


def _bottle(body: mujoco.MjsBody, colour: Array, rng: np.random.Generator) -> None:
    r = rng.uniform(0.018, 0.026)
    body.add_geom(type=CYLINDER, size=[r, 0.035, 0], pos=[0, 0, 0.035], rgba=[*colour, 1], **SOLID)
    body.add_geom(type=CYLINDER, size=[0.45 * r, 0.012, 0], pos=[0, 0, 0.08], rgba=[0.9, 0.9, 0.9, 1], **SOLID)


ODDMENTS: tuple[Callable[[mujoco.MjsBody, Array, np.random.Generator], None], ...] = (
    _cup, _ball, _book, _fruit, _bottle,
)  # fmt: skip
