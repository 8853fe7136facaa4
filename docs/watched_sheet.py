"""A person and the robot at the tasks that rewards are learned for: docs/watched_sheet.py docs/images/watched.jpg."""

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from vgps_sim.env import execute, start
from vgps_sim.experts import Expert
from vgps_sim.kinematics import ToolServo
from vgps_sim.people.performance import perform
from vgps_sim.world import World

MOMENTS, SIDE = 8, 128  # pictures of a row, their width [px]
SEEDS = {"pour_balls": 60_001, "sort_onions": 60_003}  # of the person


def person(task: str) -> list[np.ndarray]:
    shown = perform("person", task, SEEDS[task], size=2 * SIDE, failures=0.0, front=0.0)
    return list(next(iter(shown.frames.values())))


def robot(task: str) -> list[np.ndarray]:
    world, servo, expert = World(task, cameras=()), ToolServo(), Expert()
    start(world, servo, 0)
    frames = [world.render("shoulder", 2 * SIDE, 2 * SIDE)]
    while world.step < world.task.max_steps and not world.success:
        execute(world, servo, expert.act(world))
        frames.append(world.render("shoulder", 2 * SIDE, 2 * SIDE))
    world.close()
    return frames


def save(rows: Sequence[Sequence[np.ndarray]], out: Path) -> None:
    """Evenly spread moments of each row's frames, the first and the last among them."""
    sheet = Image.new("RGB", (MOMENTS * SIDE, len(rows) * SIDE))
    for row, frames in enumerate(rows):
        for column, moment in enumerate(np.linspace(0, len(frames) - 1, MOMENTS).round().astype(int)):
            picture = Image.fromarray(frames[moment]).resize((SIDE, SIDE))
            sheet.paste(picture, (column * SIDE, row * SIDE))
    sheet.save(out, quality=85, optimize=True)


def main() -> None:
    save([act(task) for task in SEEDS for act in (person, robot)], Path(sys.argv[1]))


if __name__ == "__main__":
    main()
