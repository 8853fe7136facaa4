"""Both sides of one seed next to each other, with what the critic thought drawn in.

Nothing is rendered during an evaluation: the same seed and actions give bit-equal
states, so the recorded actions are played again in a fresh world.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw

from vgps_models.spaces import Image
from vgps_sim import drawing
from vgps_sim.env import start
from vgps_sim.episode import Judge, joint_command
from vgps_sim.kinematics import ToolServo
from vgps_sim.results import EpisodeResult, Evaluation, EvaluationError, StepRecord
from vgps_sim.tasks import get_task
from vgps_sim.world import World

FRAMES_PER_STEP = 3  # of the big view; the arm moves smoothly although it decides at 5 Hz
HOLD_SECONDS = 1.6  # the outcome stays on screen


@dataclass(frozen=True)
class Video:
    """A rendered comparison.

    outcomes: condition -> success, in the order in which the sides are shown.
    faithful: the replay ended as the recorded episodes did, on every side.
    """

    path: Path
    task: str
    seed: int
    outcomes: dict[str, bool]
    faithful: bool


@dataclass(frozen=True, eq=False)
class Shot:
    """One side at one moment.

    view: the big picture (h, w, 3); eyes: what the policy saw, camera -> (128, 128, 3).
    step: control steps done. record: the decision being carried out.
    fan: end points of the candidates in the big picture [px], and where the tool is.
    progress: (step, how far along it looked) of this and all earlier decisions; empty without a judge.
    scale: lowest and highest score of the whole episode, spread included; None where nothing was scored.
    """

    view: Image
    eyes: dict[str, Image]
    step: int
    record: StepRecord | None
    fan: tuple[tuple[float, float], list[tuple[float, float]]] | None
    events: tuple[str, ...]
    outcome: bool | None
    progress: tuple[tuple[int, float], ...] = ()
    scale: tuple[float, float] | None = None


def replay(
    episode: EpisodeResult, stage: World, *, camera: str = "shoulder", judge: Judge | None = None
) -> Iterator[Shot]:
    """Play recorded actions again, `FRAMES_PER_STEP` shots a control step and one of the outcome.

    The physics runs in a world of its own that is never looked at. `stage`, another world of the same
    task, is set to its state, and shows also the moments between two control steps; looking changes nothing.
    """
    world = World(episode.task, spec=stage.spec)
    servo = ToolServo(world.spec)
    start(world, servo, episode.seed)
    substeps = round(world.spec.period / world.model.opt.timestep)
    records = {r.step: r for r in episode.records}
    record, eyes, fan, scale = None, {}, None, _scale(episode.records)
    seen: list[tuple[int, float]] = []

    def look(step: int) -> dict[str, Image]:
        images = stage.images()
        if judge is not None:
            seen.append((step, judge(images, world.task.instruction)))
        return images

    for step, action in enumerate(episode.actions):
        stage.set_state(world.state())
        if step in records or not eyes:
            record, eyes = records.get(step), look(step)
            fan = _fan(stage, camera, record) if record else None
        command = joint_command(servo, action)
        for part in range(FRAMES_PER_STEP):
            if part:
                stage.set_state(world.state())
                stage.advance(command, substeps * part // FRAMES_PER_STEP)
            events = tuple(world.events)
            yield Shot(_view(stage, camera), eyes, step, record, fan, events, None, tuple(seen), scale)
        world.apply(command)
    stage.set_state(world.state())
    eyes, events, won = look(len(episode.actions)), tuple(world.events), bool(world.success)
    yield Shot(_view(stage, camera), eyes, len(episode.actions), record, None, events, won, tuple(seen), scale)


def render(
    sides: Sequence[EpisodeResult],
    path: Path,
    *,
    subtitles: Sequence[str] = (),
    camera: str = "shoulder",
    judge: Judge | None = None,
) -> Video:
    """Write an MP4 (H.264, yuv420p) of episodes of the same task and seed, side by side.

    subtitles: a few words on each side, under its name ("best of 10 by argmax").
    judge: draws how far along each side looks into its picture.
    """
    if len({(e.task, e.seed) for e in sides}) != 1:
        raise EvaluationError("the sides of a video must be of one task and one seed")
    path.parent.mkdir(parents=True, exist_ok=True)
    stage = World(sides[0].task)
    stage.reset(sides[0].seed)  # light and colours are drawn from the seed too
    shots = [replay(e, stage, camera=camera, judge=judge) for e in sides]
    instruction = get_task(sides[0].task).instruction
    names = [e.condition for e in sides]
    rate = round(stage.spec.control_hz * FRAMES_PER_STEP)
    latest: list[Shot | None] = [None] * len(sides)
    with av.open(str(path), "w", options={"movflags": "faststart"}) as container:
        video: Any = container.add_stream("libx264", rate=Fraction(rate), options={"crf": "24", "preset": "veryfast"})
        video.pix_fmt, video.thread_count = "yuv420p", 1
        video.width, video.height = drawing.size(len(sides))

        def write(picture: Picture.Image) -> None:
            frame = av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24")
            container.mux(video.encode(frame))

        def picture() -> Picture.Image:
            return compose([s for s in latest if s], names, subtitles, instruction, sides[0].seed)

        running = True
        while running:
            running = False
            for i, side in enumerate(shots):
                shot = next(side, None)
                if shot is not None:
                    latest[i], running = shot, True
            if running:
                write(last := picture())
        for _ in range(round(HOLD_SECONDS * rate)):
            write(last)
        container.mux(video.encode(None))
    stage.close()
    outcomes = {e.condition: bool(s and s.outcome) for e, s in zip(sides, latest, strict=True)}
    return Video(
        path=path,
        task=sides[0].task,
        seed=sides[0].seed,
        outcomes=outcomes,
        faithful=all(outcomes[e.condition] == e.success for e in sides),
    )


def compose(
    shots: Sequence[Shot], names: Sequence[str], subtitles: Sequence[str], instruction: str, seed: int
) -> Picture.Image:
    """One frame: a heading and a panel a side."""
    canvas = Picture.new("RGB", drawing.size(len(shots)), drawing.BACKGROUND)
    draw = ImageDraw.Draw(canvas)
    drawing.heading(draw, canvas.width, instruction, f"seed {seed}")
    for i, (shot, name) in enumerate(zip(shots, names, strict=True)):
        left = drawing.MARGIN + i * (drawing.PANEL_WIDTH + drawing.MARGIN)
        drawing.panel(canvas, draw, left, shot, name, subtitles[i] if i < len(subtitles) else "", drawing.accent(i))
    return canvas


def showcase(
    evaluation: Evaluation, folder: Path, *, limit: int = 3, camera: str = "shoulder", judge: Judge | None = None
) -> list[Video]:
    """Videos of seeds where the treatment changed the outcome; judge as in `render`."""
    conditions = evaluation.conditions[:2]
    subtitles = [describe(c.settings) for c in conditions]
    videos = []
    for task, seed in choose(evaluation, limit):
        sides = [evaluation.outcomes[c.name][task, seed] for c in conditions]
        videos.append(render(sides, folder / f"{task}-{seed}.mp4", subtitles=subtitles, camera=camera, judge=judge))
    return videos


def choose(evaluation: Evaluation, limit: int) -> list[tuple[str, int]]:
    """(task, seed) of up to `limit` changed outcomes: of different tasks first, one loss among them."""
    if len(evaluation.conditions) < 2:
        return []
    baseline, treatment = (c.name for c in evaluation.conditions[:2])
    pair = evaluation.pair(treatment, baseline)
    won, lost = _varied(pair.won), _varied(pair.lost)
    return (won[: limit - bool(lost)] + lost)[:limit]


def describe(settings: Any) -> str:
    """A side's settings in a few words."""
    k = settings.get("k", 1)
    if k == 1:
        return "one sample"
    return f"{settings.get('rule', 'chosen')} of {k} samples"


def _varied(pairs: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
    """The same pairs, the first of every task at the front."""
    rank: dict[str, int] = {}
    order = []
    for task, seed in pairs:
        rank[task] = rank.get(task, -1) + 1
        order.append((rank[task], task, seed))
    return [(task, seed) for _, task, seed in sorted(order, key=lambda item: item[0])]


def _scale(records: Sequence[StepRecord]) -> tuple[float, float] | None:
    scored = [(np.asarray(r.mean), np.asarray(r.std if len(r.std) == len(r.mean) else 0.0)) for r in records if r.mean]
    if not scored:
        return None
    return float(min((m - s).min() for m, s in scored)), float(max((m + s).max() for m, s in scored))


def _view(world: World, camera: str) -> Image:
    return world.render(camera, drawing.VIEW_HEIGHT, drawing.VIEW_WIDTH)


def _fan(world: World, camera: str, record: StepRecord) -> tuple[tuple[float, float], list[tuple[float, float]]] | None:
    """Where the candidates lead, in pixels of the big view."""
    if not record.reach:
        return None
    tool, _ = world.tool_pose()

    def pixel(point: Any) -> tuple[float, float]:
        u, v, _ = world.project(camera, point)  # of a square picture
        aspect = drawing.VIEW_HEIGHT / drawing.VIEW_WIDTH
        return (0.5 + (u - 0.5) * aspect) * drawing.VIEW_WIDTH, v * drawing.VIEW_HEIGHT

    return pixel(tool), [pixel(tool + np.asarray(r)) for r in record.reach]
