"""Grasp the bottle from the side, tip it over the bowl by turning the wrist, stand it back."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from vgps_models.errors import SpecError
from vgps_models.spaces import ActionSpec, Array
from vgps_sim.experts.intent import Intent
from vgps_sim.objects import get_thing
from vgps_sim.objects.kitchen import BOTTLE_GRASP
from vgps_sim.tasks import Pouring
from vgps_sim.world import World

PITCH = 0.27  # [rad] of the hand below the horizontal
BEHIND = 0.075  # [m] from the bottle where the hand sets out for it
INTO = 0.012  # [m] of the fingertips past the bottle's axis
LIFT = 0.05  # [m] of the bottle on its way
TIPPED = 2.05  # [rad] of the wrist: the bottle's mouth then points below the horizontal
MOUTH = 0.06  # [m] of the mouth above the bowl's foot while it pours


class PouringSkill:
    """Decides from the present state alone, as `Picking` does."""

    def __init__(self, spec: ActionSpec) -> None:
        self.spec = spec

    def act(self, world: World, intent: Intent) -> Array:
        """The next action (7,), clipped to the spec. intent.place_offset: of what is poured from the bowl's middle."""
        task = world.task
        if not isinstance(task, Pouring):
            raise SpecError(f"{task.id} is not about pouring")
        tool, rotation = world.tool_pose()
        bottle = world.position(task.bottle)
        closed = world.joints().gripper < 0.9 and world.commanded_gripper < 0.5
        contacts = world.finger_contacts(task.bottle)
        held = closed and (contacts == 2 or (intent.believes and world.closed_for >= 2))
        azimuth, roll = _direction(rotation)
        if held:
            return self._carry(world, task, intent, azimuth, roll)
        if task.placed(world) or world.axes(task.bottle)[2, 2] < 0.5:
            return self._step(-0.03 * rotation[:, 0] + [0, 0, 0.01], rotation, rotation, 1.0)  # done, or beyond help
        facing = float(np.arctan2(bottle[1], bottle[0]))
        wanted = _hand(facing, 0.0)
        approach = wanted[:, 0]
        grasp = bottle + [*intent.offset, 0.0]
        grasp[2] += BOTTLE_GRASP - get_thing(task.bottle).rest_height
        way = grasp + INTO * approach - tool
        along = float(way @ approach)
        across = way - along * approach
        turn = Rotation.from_matrix(wanted @ rotation.T).magnitude()
        if np.linalg.norm(across) > 0.007 or turn > 0.1:
            ready = along > BEHIND - 0.03 or np.linalg.norm(across) < 0.015
            back = across + (along - BEHIND) * approach if not ready or turn > 0.1 else across
            return self._step(back, wanted, rotation, 1.0)
        if along > 0.005:
            return self._step(way, wanted, rotation, 1.0)
        return self._step(np.zeros(3), rotation, rotation, 0.0)

    def _carry(self, world: World, task: Pouring, intent: Intent, azimuth: float, roll: float) -> Array:
        tool, rotation = world.tool_pose()
        bottle, bowl = world.position(task.bottle), world.position(task.bowl)
        side = _side(bottle, bowl, azimuth, roll)
        upright = _hand(azimuth, 0.0)
        if task.left(world) == 0 or task.placed(world):
            if abs(roll) > 0.08:
                up = [0.0, 0.0, 0.01] if abs(roll) > 1.0 else np.zeros(3)
                return self._step(np.array(up), _hand(azimuth, _towards(roll, 0.0)), rotation, 0.0)
            clear = _beside(bowl, bottle, azimuth, side)
            if np.linalg.norm(clear) > 0.012:
                return self._step(np.array([*clear, 0.0]), upright, rotation, 0.0)
            below = bottle[2] - get_thing(task.bottle).rest_height
            if below > 0.004:
                return self._step(np.array([*clear, -min(below - 0.001, 0.025)]), upright, rotation, 0.0)
            return self._step(np.zeros(3), upright, rotation, 1.0)
        # Where the mouth will be, seen from the tool, once the bottle is tipped.
        tipped = _hand(azimuth, side * TIPPED)
        mouth = tipped @ rotation.T @ (task.mouth(world) - tool)
        there = bowl + [*intent.place_offset, MOUTH] - mouth
        way = there - tool
        if abs(roll) < 0.3 and np.linalg.norm(way[:2]) > 0.015:
            height = BOTTLE_GRASP + LIFT
            rise = height - tool[2]
            sideways = way[:2] * np.clip(1.0 - rise / 0.03, 0.0, 1.0)
            return self._step(np.array([*sideways, rise]), upright, rotation, 0.0)
        down = np.clip(way[2], -0.02, 0.02) if abs(roll) > 1.2 else 0.0
        return self._step(np.array([*way[:2], down]), _hand(azimuth, _towards(roll, side * TIPPED)), rotation, 0.0)

    def _step(self, move: Array, wanted: Array, rotation: Array, gripper: float) -> Array:
        turn = Rotation.from_matrix(wanted @ rotation.T).as_rotvec()
        return self.spec.clip(np.array([*move, *turn, gripper]))


def _hand(azimuth: float, roll: float) -> Array:
    """Rotation (3, 3) of a tool that points to `azimuth`, a little down, turned about its own axis by `roll` [rad]."""
    return Rotation.from_euler("ZYX", [azimuth, PITCH, roll]).as_matrix()


def _direction(rotation: Array) -> tuple[float, float]:
    """Azimuth to which a tool points, and its roll [rad]; what points straight down counts as not rolled."""
    ahead, across = rotation[:, 0], rotation[:, 1]
    if np.hypot(*ahead[:2]) < 0.1:
        return float(np.arctan2(-across[0], across[1])), 0.0
    azimuth = np.arctan2(ahead[1], ahead[0])
    level = np.array([-np.sin(azimuth), np.cos(azimuth), 0.0])
    return float(azimuth), float(np.arctan2(across @ np.cross(ahead, level), across @ level))


def _towards(roll: float, wanted: float) -> float:
    """One step of the way: a turn of more than half a circle has two."""
    return float(roll + np.clip(wanted - roll, -0.25, 0.25))


def _side(bottle: Array, bowl: Array, azimuth: float, roll: float) -> float:
    """The sign of the roll that tips the bottle towards the bowl; the one that has begun goes on."""
    if abs(roll) > 0.3:
        return float(np.sign(roll))
    left = np.array([-np.sin(azimuth), np.cos(azimuth)]) @ (bowl - bottle)[:2]
    return -1.0 if left > 0 else 1.0


def _beside(bowl: Array, bottle: Array, azimuth: float, side: float) -> Array:
    """How far the bottle has to go (2,) [m] until it can stand beside the bowl."""
    right = np.array([np.sin(azimuth), -np.cos(azimuth)])
    lateral = float((bottle - bowl)[:2] @ right)
    wanted = -side * 0.12
    return right * (wanted - lateral) if lateral * np.sign(wanted) < abs(wanted) - 0.01 else np.zeros(2)
