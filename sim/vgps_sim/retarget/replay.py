"""A retargeted motion carried out by the robot: actions, step by step."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import numpy as np
from scipy.spatial.transform import Rotation

from vgps_models.spaces import GRIPPER, Array
from vgps_sim.kinematics import ToolKinematics
from vgps_sim.objects import get_thing
from vgps_sim.retarget.chains import get_chain
from vgps_sim.retarget.handled import Demonstration, Hold, HoldConfig, Pace, holds, slowed
from vgps_sim.retarget.motion import retarget
from vgps_sim.retarget.refine import Weights
from vgps_sim.retarget.shown import Shown, above
from vgps_sim.world import World

BEHIND = 0.012  # [m] of the commanded tool from where it should be by now: it catches up first
PATIENCE = 4  # steps of that before it goes on all the same
ASTRAY = 0.02  # [m] between where the tool was told to be and where it is: something is in its way
REST = 3  # steps at the end, in which what was let go comes to rest


@dataclass(frozen=True)
class ReplayConfig:
    holds: HoldConfig = field(default_factory=HoldConfig)
    pace: Pace = field(default_factory=Pace)
    weights: Weights = field(default_factory=Weights)
    into: float = 0.012  # [m] past the middle of what they hold from the side are the ends of a gripper's fingers
    lowest: float = 0.004  # [m] above the table they are


@dataclass(frozen=True, eq=False)
class Plan:
    """Where the tool should be at every control step: position (N, 3) [m], rotation (N, 3, 3), gripper (N,) 0 or 1."""

    position: Array
    rotation: Array
    gripper: Array

    def __len__(self) -> int:
        return len(self.gripper)


def planned(shown: Demonstration, world: World, config: ReplayConfig = ReplayConfig()) -> Plan:
    """The person's motion at the arm's pace, retargeted. DataError when the person held nothing."""
    held = holds(shown, config.holds)
    shown = replace(shown, person=gripping(shown, held, config.into))
    slow = slowed(shown, held, config.pace)
    person = above(slow.person, config.lowest)
    motion = retarget(world.arm.name, get_chain(world.arm.name), person, config.weights)
    kinematics = ToolKinematics(world.arm)
    rows = np.arange(0, len(motion.q), round(world.spec.period / config.pace.period))
    poses = [kinematics.pose(motion.q[row]) for row in rows]
    return Plan(np.array([p for p, _ in poses]), np.array([r for _, r in poses]), np.where(slow.closed[rows], 0.0, 1.0))


def gripping(shown: Demonstration, held: list[Hold], into: float) -> Shown:
    """The person's motion, moved so that a gripper takes each thing at the height where it holds best, and from the
    side a little past its middle. While a thing is held all is moved alike: it goes where the person took it."""
    tip = shown.person.tip
    knots, by = list[int](), list[Array]()
    for hold in held:
        thing, ahead = get_thing(hold.thing), tip.rotation[hold.first][:, 0]
        best = shown.things[hold.thing][hold.first][2] + thing.grasp_height - thing.rest_height
        level = float(np.linalg.norm(ahead[:2]))
        off = np.array([*(into * level * ahead[:2]), best - tip.position[hold.first][2]])
        knots, by = [*knots, hold.first, hold.last], [*by, off, off]
    if not held:
        return shown.person
    shift = np.stack([np.interp(np.arange(len(tip)), knots, column) for column in np.array(by).T], axis=1)
    return replace(shown.person, tip=replace(tip, position=tip.position + shift))


class Replay:
    """Acts as a `Demonstrator` does, after a plan. done: how many of its poses have been asked for."""

    def __init__(self, plan: Plan, flaws: tuple[str, ...] = ()) -> None:
        self.plan, self.flaws, self.done, self._waited = plan, flaws, 0, 0
        self._position, self._rotation = np.full(3, np.nan), np.eye(3)

    def finished(self) -> bool:
        return self.done >= len(self.plan) + REST

    def act(self, world: World) -> tuple[Array, bool]:
        """The next action (7,): from where the tool was told to be to where it is next."""
        tool, rotation = world.tool_pose()
        if world.step == 0 or np.linalg.norm(tool - self._position) > ASTRAY:
            self._position, self._rotation = tool, rotation
        row = min(self.done, len(self.plan) - 1)
        turn = Rotation.from_matrix(self.plan.rotation[row] @ self._rotation.T).as_rotvec()
        asked = np.array([*(self.plan.position[row] - self._position), *turn, self.plan.gripper[row]])
        action = world.spec.clip(asked)
        left = float(np.linalg.norm(asked[:3] - action[:3]))
        if (left > BEHIND and self._waited < PATIENCE) or (row == 0 and left > 0):  # from home to where it begins
            self._waited += row > 0
            action[GRIPPER] = self.plan.gripper[max(row - 1, 0)]
        else:
            self.done, self._waited = self.done + 1, 0
        self._position = self._position + action[:3]
        self._rotation = Rotation.from_rotvec(action[3:6]).as_matrix() @ self._rotation
        return action, False
