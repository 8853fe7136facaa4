"""Things from here to there, from above."""

from __future__ import annotations

import numpy as np
from scipy.spatial.transform import Rotation

from vgps_models.spaces import ActionSpec, Array
from vgps_sim.arms import tool_down
from vgps_sim.experts.intent import Intent
from vgps_sim.objects import get_thing
from vgps_sim.world import World

HOVER = 0.05  # [m] fingertips above the grasp height while they move sideways
CARRY = 0.105  # [m] fingertips above the table while they carry
RIM = 0.006  # [m] fingertips above walls when they open between them


class Picking:
    """Hover, descend, close, lift, carry, lower, open."""

    def __init__(self, spec: ActionSpec) -> None:
        self.spec = spec

    def act(self, world: World, intent: Intent) -> Array:
        """The next action (7,) of this world's task, clipped to the spec."""
        goal = world.task.goal(world)
        name = intent.thing or goal.object
        thing, target = get_thing(name), get_thing(intent.target or goal.target)
        joints = world.joints()
        tool, rotation = world.tool_pose()
        here = world.position(name)
        contacts = world.finger_contacts(name)
        closed = joints.gripper < 0.9 and world.commanded_gripper < 0.5
        held = closed and (contacts == 2 or (intent.believes and world.closed_for >= 2))
        there = world.position(target.name)[:2] + intent.place_offset

        if held:
            carried = here[:2] if contacts else tool[:2]
            away = there - carried
            distance = float(np.linalg.norm(away))
            grip = tool[2] - here[2] if contacts else 0.0  # fingertips above the object's frame
            lowest = max(target.top + thing.rest_height + grip + 0.004, target.rim + RIM if target.rim else 0.0)
            if distance > 0.012:
                rise = CARRY - tool[2]
                # Up first: sideways only as fast as the height already allows.
                sideways = away * np.clip((tool[2] - 0.04) / 0.04, 0.0, 1.0) if distance > 0.03 else away
                return self._step([*sideways, rise], self._turn(rotation, None), 0.0)
            if tool[2] > lowest + 0.004:
                return self._step([*away, lowest - tool[2]], self._turn(rotation, None), 0.0)
            return self._step([0.0, 0.0, 0.0], np.zeros(3), 1.0)

        if intent.thing is None and world.task.placed(world):
            return self._step([0.0, 0.0, 0.04], np.zeros(3), 1.0)  # done: get out of the way

        yaw = self._grasp_yaw(rotation, world.yaw(name), thing.symmetry)
        turn = self._turn(rotation, yaw)
        away = here[:2] + intent.offset - tool[:2]
        distance = float(np.linalg.norm(away))
        low = max(here[2] - thing.rest_height, 0.0) + thing.grasp_height
        if distance > 0.008 or np.linalg.norm(turn) > 0.12:
            height = low + HOVER
            if tool[2] < low + 0.035 and distance > 0.02:
                away = away * 0.0  # rise before moving sideways, or the fingers sweep the object away
            elif distance < 0.02 and np.linalg.norm(turn) < 0.3:
                height = low + 0.03
            return self._step([*away, height - tool[2]], turn, 1.0)
        if tool[2] > low + 0.004:
            return self._step([*away, low - tool[2]], turn, 1.0)
        return self._step([0.0, 0.0, 0.0], np.zeros(3), 0.0)

    def _step(self, move: list[float], turn: Array, gripper: float) -> Array:
        return self.spec.clip(np.array([*move, *turn, gripper]))

    @staticmethod
    def _grasp_yaw(rotation: Array, yaw: float, symmetry: int) -> float:
        """The equivalent yaw that is nearest to the tool's own."""
        own = np.arctan2(-rotation[0, 1], rotation[1, 1])
        period = 2 * np.pi / max(symmetry, 2)
        nearest = yaw + period * np.round((own - yaw) / period)
        # Stay within a half turn of the arm's zero, where all wrists can follow.
        return float(nearest if abs(nearest) < 2.2 else nearest - np.sign(nearest) * period)

    @staticmethod
    def _turn(rotation: Array, yaw: float | None) -> Array:
        """Rotation vector in the base frame to point down again, and to `yaw` when given [rad]."""
        if yaw is None:
            yaw = float(np.arctan2(-rotation[0, 1], rotation[1, 1]))
        return Rotation.from_matrix(tool_down(yaw) @ rotation.T).as_rotvec()
