"""vgps retarget, vgps film"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro
from rich.console import Console

from vgps_node.commands.collect import bar


def main(arguments: Sequence[str], *, prog: str) -> int:
    """A person's motion, from a recording of colour and depth, on a robot's arm, with a page of plots.

    Writes motion.csv (joints [rad] of every frame), report.html and result.json.

    Examples:
        vgps film sort_onions --out data/film
        vgps retarget data/film --arm widowx_250s --out runs/retarget
        vgps retarget recordings/kitchen.mcap --place seat
        vgps retarget recordings/clip.bag     # as realsense-viewer records it
    """
    from vgps_models.files import write_whole
    from vgps_node.retargeting import Retarget, Retargeted, retargeted
    from vgps_node.retargeting_page import page
    from vgps_sim.retarget.maps import joint_map

    config = tyro.cli(Retarget, args=list(arguments), prog=prog, description=main.__doc__)
    with bar() as progress:
        line = progress.add_task("watching")
        made: Retargeted = retargeted(config, lambda done, of: progress.update(line, completed=done, total=of))
    text, motion = io.StringIO(), made.ways["retargeted"]
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["seconds", *(f"{name}_rad" for name in joint_map(config.arm).joints), "gap_m", "error_mm"])
    for t, (q, gap, error) in enumerate(zip(motion.q, made.smoothed.gap, motion.position_error, strict=True)):
        numbers = [t * made.person.tip.period, *q, gap, 1e3 * error]
        rows.writerow([f"{number:.5f}" for number in numbers])
    write_whole(config.out / "motion.csv", text.getvalue().encode())
    write_whole(config.out / "report.html", page(made).encode())
    write_whole(config.out / "result.json", (json.dumps(made.told, indent=1) + "\n").encode())
    console = Console(emoji=False)
    for fault in made.faults.lines():
        console.print(f"noticed: {fault}", markup=False, highlight=False, soft_wrap=True)
    best = made.told["ways"]["retargeted"]
    console.print(
        f"{made.told['seconds']} s on {config.arm}, the tool {best['position_mm']:.1f} mm and "
        f"{best['rotation_deg']:.1f} deg off; see {config.out / 'report.html'}", markup=False, highlight=False,
        soft_wrap=True,
    )  # fmt: skip
    return 0


@dataclass(frozen=True)
class Film:
    """Film a person in simulation."""

    task: tyro.conf.Positional[str]  # sort_onions, pour_balls or one of the standard tasks
    out: Path = Path("data/film")  # folder to write: color/, depth/, camera.json
    seed: int = 0
    fps: int = 25  # frames a second
    holes: float = 0.03  # share of the depth that is missing, as with real cameras
    noise: float = 0.002  # [m] standard deviation of the depth
    pose: bool = False  # also write where the camera is


def film(arguments: Sequence[str], *, prog: str) -> int:
    """Film a person at a task in simulation, with depth, as a camera would: something to try `vgps retarget` on.

    Examples:
        vgps film sort_onions --out data/film
    """
    from vgps_models.rgbd.folder import write_folder
    from vgps_sim.human.filming import film as filmed
    from vgps_sim.human.filming import seen_by_camera

    config = tyro.cli(Film, args=list(arguments), prog=prog, description=film.__doc__)
    made = filmed(config.task, config.seed, failures=0.0, fps=config.fps, whole=True)
    frames = seen_by_camera(made, holes=config.holes, noise=config.noise, seed=config.seed)
    count = write_folder(
        config.out, made.camera, frames, fps=config.fps, pose=made.camera_pose if config.pose else None
    )
    print(f"{config.out}: {count} frames, {count / config.fps:.1f} s")
    return 0
