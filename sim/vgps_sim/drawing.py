"""How a comparison video looks: panels, score bars and candidate paths, drawn with PIL.

The score bars are above the views, because the controls of a video player lie over the lower edge. Text is large enough
to be read when the picture is shown at two thirds of its size.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from vgps_sim.world import MAX_STEPS

if TYPE_CHECKING:
    from vgps_sim.results import StepRecord
    from vgps_sim.video import Shot

MARGIN = 20
VIEW_WIDTH, VIEW_HEIGHT = 470, 352
EYE = 128
PANEL_WIDTH = VIEW_WIDTH + 12 + EYE
TOP, BARS, AXIS = 104, 118, 46  # [px] y of the scores' title, height of their bars, width of their axis
BARS_TOP = TOP + 30
VIEW_TOP = BARS_TOP + BARS + 24
HEIGHT = VIEW_TOP + VIEW_HEIGHT + 2 * MARGIN

BACKGROUND, RAISED = (15, 19, 26), (24, 30, 40)
INK, QUIET, FAINT, BAR = (236, 240, 245), (146, 157, 172), (52, 62, 78), (84, 97, 118)
GOOD, BAD = (46, 184, 128), (226, 86, 86)
ACCENTS = ((240, 168, 64), (64, 188, 214), (178, 134, 240), (224, 122, 172))

Colour = tuple[int, int, int]


def size(sides: int) -> tuple[int, int]:
    """Width and height [px] of a picture of so many sides; even, as H.264 wants them."""
    width = sides * (PANEL_WIDTH + MARGIN) + MARGIN
    return width + width % 2, HEIGHT + HEIGHT % 2


def accent(side: int) -> Colour:
    return ACCENTS[side % len(ACCENTS)]


@cache
def font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def heading(draw: ImageDraw.ImageDraw, width: int, instruction: str, right: str) -> None:
    draw.text((MARGIN, 16), f"\u201c{instruction}\u201d", font=font(24), fill=INK)
    draw.text((width - MARGIN, 20), right, font=font(18), fill=QUIET, anchor="ra")


def panel(
    canvas: Picture.Image, draw: ImageDraw.ImageDraw, left: int, shot: Shot, name: str, subtitle: str, colour: Colour
) -> None:
    """One side: its name, the scores, the big view with the candidates, what the policy sees."""
    draw.rounded_rectangle((left, 64, left + 5, 92), 2, fill=colour)
    draw.text((left + 14, 62), name, font=font(24), fill=INK)
    indent = left + 14 + draw.textlength(name, font=font(24)) + 12
    draw.text((indent, 69), subtitle, font=font(17), fill=QUIET)
    draw.text((left + PANEL_WIDTH, 69), f"step {shot.step}", font=font(17), fill=QUIET, anchor="ra")
    scores(draw, left, PANEL_WIDTH, shot.record, shot.scale, colour)

    canvas.paste(_framed(shot, colour), (left, VIEW_TOP))
    x = left + VIEW_WIDTH + 12
    y = VIEW_TOP
    for camera, image in shot.eyes.items():
        canvas.paste(Picture.fromarray(image).resize((EYE, EYE)), (x, y))
        draw.text((x, y + EYE + 2), f"{camera} camera", font=font(15), fill=QUIET)
        y += EYE + 24
    for event in ("grasped", "lifted", "placed"):
        done = event in shot.events
        draw.ellipse((x + 1, y + 4, x + 11, y + 14), fill=colour if done else None, outline=colour if done else FAINT)
        draw.text((x + 18, y), event, font=font(15), fill=INK if done else QUIET)
        y += 19


def scores(
    draw: ImageDraw.ImageDraw,
    left: int,
    width: int,
    record: StepRecord | None,
    scale: tuple[float, float] | None,
    colour: Colour,
) -> None:
    """The critic's score of every candidate as a bar, spread as a whisker, the chosen one in colour.

    scale: lowest and highest score of the axis, the same all episode long.
    """
    mean = np.asarray(record.mean if record else ())
    if not len(mean) or record is None:
        draw.text((left, TOP), "no critic: the policy's sample is executed", font=font(17), fill=QUIET)
        return
    draw.text((left, TOP), f"critic's score of {len(mean)} candidates [return]", font=font(17), fill=QUIET)
    if 0 <= record.chosen < len(mean):
        text = f"chosen {record.chosen + 1}: {number(mean[record.chosen], 2)}"
        draw.text((left + width, TOP), text, font=font(17), fill=colour, anchor="ra")
    std = np.asarray(record.std) if len(record.std) == len(mean) else np.zeros_like(mean)
    low, high = scale or (float((mean - std).min()), float((mean + std).max()))
    bottom, span = BARS_TOP + BARS, max(high - low, 1e-9)

    def height(value: float) -> float:
        return bottom - BARS * min(max((value - low) / span, 0.0), 1.0)

    for tick in ticks(low, high):
        y = height(tick)
        draw.line((left + AXIS, y, left + width, y), fill=FAINT)
        draw.text((left + AXIS - 8, y), number(tick), font=font(15), fill=QUIET, anchor="rm")
    pitch = (width - AXIS) / len(mean)
    body = max(1.0, min(pitch * 0.62, 46.0))
    for i, (m, s) in enumerate(zip(mean, std, strict=True)):
        middle = left + AXIS + (i + 0.5) * pitch
        chosen = i == record.chosen
        top = min(height(m), bottom - 1)
        draw.rectangle((middle - body / 2, top, middle + body / 2, bottom), fill=colour if chosen else BAR)
        if s > 0:
            draw.line((middle, height(m - s), middle, height(m + s)), fill=INK if chosen else QUIET, width=2)
    draw.line((left + AXIS, bottom, left + width, bottom), fill=QUIET)


def ticks(low: float, high: float) -> list[float]:
    """Two to five round numbers between two others."""
    span = max(high - low, 1e-9)
    unit = 10.0 ** np.floor(np.log10(span))
    step = next(unit * k for k in (0.2, 0.5, 1.0, 2.0) if span / (unit * k) < 5)
    return [float(k * step) for k in range(int(np.ceil(low / step - 1e-9)), int(np.floor(high / step + 1e-9)) + 1)]


def number(value: float, digits: int | None = None) -> str:
    """As text; without `digits` as short as it gets. The font has no minus sign but the hyphen."""
    return f"{value:.6g}" if digits is None else f"{value:.{digits}f}"


def _framed(shot: Shot, colour: Colour) -> Picture.Image:
    """The big view with the candidates' paths and, at the end, the outcome."""
    view = Picture.fromarray(shot.view)
    draw = ImageDraw.Draw(view, "RGBA")
    if shot.fan and shot.record:
        tool, ends = shot.fan
        for i in _by_score(shot.record):
            chosen = i == shot.record.chosen
            draw.line(
                (*tool, *ends[i]), fill=(*colour, 255) if chosen else (255, 255, 255, 120), width=3 if chosen else 1
            )
            r = 4 if chosen else 2
            x, y = ends[i]
            draw.ellipse((x - r, y - r, x + r, y + r), fill=(*colour, 255) if chosen else (255, 255, 255, 170))
    if shot.progress:
        _progress(draw, shot.progress, colour)
    if shot.outcome is not None:
        text, fill = ("SUCCESS", GOOD) if shot.outcome else ("FAILED", BAD)
        draw.rectangle((0, VIEW_HEIGHT - 44, VIEW_WIDTH, VIEW_HEIGHT), fill=(*fill, 225))
        draw.text((VIEW_WIDTH / 2, VIEW_HEIGHT - 22), text, font=font(24), fill=(255, 255, 255, 255), anchor="mm")
        draw.rectangle((0, 0, VIEW_WIDTH - 1, VIEW_HEIGHT - 1), outline=(*fill, 255), width=3)
    return view


def _progress(draw: ImageDraw.ImageDraw, seen: Sequence[tuple[int, float]], colour: Colour) -> None:
    """How far along it has looked, in the upper left corner: x to MAX_STEPS control steps, y to 1."""
    width, height, edge = 132, 44, 8
    draw.rounded_rectangle((edge, edge, edge + width + 12, edge + height + 30), 5, fill=(*BACKGROUND, 190))
    draw.text((edge + 6, edge + 2), f"progress {seen[-1][1]:.0%}", font=font(16), fill=(*INK, 255))
    left, bottom = edge + 6, edge + height + 24
    draw.line((left, bottom, left + width, bottom), fill=(*FAINT, 255))
    points = [(left + width * min(step / MAX_STEPS, 1.0), bottom - height * value) for step, value in seen]
    if len(points) > 1:
        draw.line(points, fill=(*colour, 255), width=2, joint="curve")
    x, y = points[-1]
    draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=(*colour, 255))


def _by_score(record: StepRecord) -> Sequence[int]:
    """Candidates, the chosen one last so that it lies on top."""
    return sorted(range(len(record.reach)), key=lambda i: i == record.chosen)
