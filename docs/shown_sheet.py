"""What a person shows, and the robot doing it, at the same moments: docs/shown_sheet.py docs/images/shown.jpg."""

import sys
from pathlib import Path

from watched_sheet import SIDE, save  # beside this file

from vgps_models.spaces import Image
from vgps_sim.env import execute, start
from vgps_sim.human.demonstrations import FPS, SIDEWAYS, demonstrated
from vgps_sim.kinematics import ToolServo
from vgps_sim.people.performance import perform
from vgps_sim.retarget.handled import holds, slowed
from vgps_sim.retarget.replay import Replay, planned
from vgps_sim.world import World

SHOWN = {"put_carrot_on_plate": 400_002, "sort_onions": 400_007}  # task -> seed


def rows(task: str, seed: int) -> tuple[list[Image], list[Image]]:
    """Of the person and of the robot."""
    demonstration = demonstrated(task, seed).demonstration
    shown = perform("person", task, seed, size=2 * SIDE, failures=0.0, front=0.0, fps=FPS, ahead=SIDEWAYS)
    frames = next(iter(shown.frames.values()))
    world, servo = World(task, cameras=()), ToolServo()
    slow = slowed(demonstration, holds(demonstration))
    acting = Replay(planned(demonstration, world))
    start(world, servo, seed, demonstration.places)
    person, robot = list[Image](), list[Image]()
    step = round(world.spec.period / slow.person.tip.period)
    while not world.success and not acting.finished():
        action, _ = acting.act(world)
        execute(world, servo, action)
        person.append(frames[round(slow.row[min(acting.done * step, len(slow.row) - 1)])])
        robot.append(world.render("shoulder", 2 * SIDE, 2 * SIDE))
    world.close()
    return person, robot


def main() -> None:
    save([frames for task, seed in SHOWN.items() for frames in rows(task, seed)], Path(sys.argv[1]))


if __name__ == "__main__":
    main()
