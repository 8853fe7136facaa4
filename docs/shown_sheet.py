"""What a person shows, and the robot doing it, at the same moments: docs/shown_sheet.py docs/images/shown.jpg."""

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from vgps_models.spaces import Image as Pixels
from vgps_sim.env import execute, start
from vgps_sim.human.demonstrations import FPS, SIDEWAYS, demonstrated
from vgps_sim.kinematics import ToolServo
from vgps_sim.people.performance import perform
from vgps_sim.retarget.handled import holds, slowed
from vgps_sim.retarget.replay import Replay, planned
from vgps_sim.world import World

MOMENTS, SIDE = 8, 128  # pictures of a row, their width [px]
SHOWN = {"put_carrot_on_plate": 400_002, "sort_onions": 400_007}  # task -> seed


def rows(task: str, seed: int) -> tuple[list[Pixels], list[Pixels]]:
    """Of the person and of the robot."""
    demonstration = demonstrated(task, seed).demonstration
    shown = perform("person", task, seed, size=2 * SIDE, failures=0.0, front=0.0, fps=FPS, ahead=SIDEWAYS)
    frames = next(iter(shown.frames.values()))
    world, servo = World(task, cameras=()), ToolServo()
    slow = slowed(demonstration, holds(demonstration))
    acting = Replay(planned(demonstration, world))
    start(world, servo, seed, demonstration.places)
    person, robot = list[Pixels](), list[Pixels]()
    step = round(world.spec.period / slow.person.tip.period)
    while not world.success and not acting.finished():
        action, _ = acting.act(world)
        execute(world, servo, action)
        person.append(frames[round(slow.row[min(acting.done * step, len(slow.row) - 1)])])
        robot.append(world.render("shoulder", 2 * SIDE, 2 * SIDE))
    world.close()
    return person, robot


def main() -> None:
    sheet = Image.new("RGB", (MOMENTS * SIDE, 2 * len(SHOWN) * SIDE))
    for row, frames in enumerate(frames for task, seed in SHOWN.items() for frames in rows(task, seed)):
        for column, moment in enumerate(np.linspace(0, len(frames) - 1, MOMENTS).round().astype(int)):
            picture = Image.fromarray(frames[moment]).resize((SIDE, SIDE))
            sheet.paste(picture, (column * SIDE, row * SIDE))
    sheet.save(Path(sys.argv[1]), quality=85, optimize=True)


if __name__ == "__main__":
    main()
