"""Sheets of markers to print, A4 at exact scale, and the faces that are on them."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from PIL import Image as Pictures
from PIL import ImageDraw, ImageFont

from vgps_models.errors import SpecError, UnknownNameError
from vgps_models.files import write_whole
from vgps_models.keypoints.marker_set import MarkerSet
from vgps_models.keypoints.opencv import dictionary, opencv
from vgps_models.spaces import Image

A4 = (0.210, 0.297)  # [m]
MARGIN = 0.012  # [m] that printers leave white
FOOT = 0.022  # [m] for the ruler and what is said beside it
CAPTION = 0.006  # [m] under a marker
QUIET = 1 / 5  # of the edge of a marker that stays white around it: more than one of its modules
RULER = 0.1  # [m]
INCH = 0.0254  # [m]


def marker_face(settings: MarkerSet, number: int, edge: float) -> Image:
    """One marker, `edge` px wide, as (round(edge), round(edge)) uint8, 0 and 255."""
    known = dictionary(settings.dictionary, settings.ids)
    bits = opencv().aruco.generateImageMarker(known, number, known.markerSize + 2)
    face = np.full((round(edge), round(edge)), 255, np.uint8)
    cells = np.round(np.linspace(0, edge, len(bits) + 1)).astype(int)
    for row, column in zip(*np.nonzero(bits == 0), strict=True):
        face[cells[row] : cells[row + 1], cells[column] : cells[column + 1]] = 0
    return face


def board_face(settings: MarkerSet, scale: float) -> Image:
    """The board at `scale` px a metre, as (height, width) uint8, 0 and 255."""
    b = settings.board
    if b is None:
        raise SpecError("these markers have no board; give one in `board`")
    across, down = (np.round(scale * b.square * np.arange(count + 1)).astype(int) for count in b.squares)
    face = np.full((down[-1], across[-1]), 255, np.uint8)
    ids = iter(b.ids)
    for row, column in np.ndindex(b.squares[1], b.squares[0]):
        if (row + column) % 2 == 0:
            face[down[row] : down[row + 1], across[column] : across[column + 1]] = 0
            continue
        left, top = (round(scale * (i * b.square + (b.square - b.marker) / 2)) for i in (column, row))
        _put(face, marker_face(settings, next(ids), scale * b.marker), left, top)
    return face


def pages(settings: MarkerSet, dpi: int = 300) -> list[Pictures.Image]:
    """A4 pages, black on white: the board on one of its own, then the single markers, each with its name and id.

    Every length is met to within half a pixel. Raises SpecError for what does not fit on a page.
    """
    made = [] if settings.board is None else [_board_page(settings, dpi)]
    single = [(f"{name}  {worn.id}", worn.id) for name, worn in settings.things.items()]
    single += [] if settings.table is None else [(f"table  {settings.table}", settings.table)]
    edge, quiet = settings.edge, QUIET * settings.edge
    wide, high = edge + 2 * quiet, edge + 2 * quiet + CAPTION
    columns, rows = int((A4[0] - 2 * MARGIN) / wide), int((A4[1] - 2 * MARGIN - FOOT) / high)
    if single and not columns * rows:
        raise SpecError(f"markers of {edge} m do not fit on A4; {(A4[0] - 2 * MARGIN) / (1 + 2 * QUIET):.3f} m do")
    for start in range(0, len(single), max(1, columns * rows)):
        page = _Page(A4, dpi, f"{settings.dictionary}, edge {1e3 * edge:g} mm")
        for index, (caption, number) in enumerate(single[start : start + columns * rows]):
            left, top = MARGIN + index % columns * wide, MARGIN + index // columns * high
            page.frame(left, top, wide, high)
            page.paste(marker_face(settings, number, page.scale * edge), left + quiet, top + quiet)
            page.text(caption, left + quiet, top + edge + 2 * quiet)
        made.append(page.done())
    return made


def _board_page(settings: MarkerSet, dpi: int) -> Pictures.Image:
    b = settings.board
    assert b is not None
    for size in (A4, (A4[1], A4[0])):
        room = size[0] - 2 * MARGIN, size[1] - 2 * MARGIN - FOOT
        if b.size[0] <= room[0] and b.size[1] <= room[1]:
            page = _Page(
                size, dpi, f"{settings.dictionary}, {b.squares[0]} x {b.squares[1]} squares of {1e3 * b.square:g} mm, "
                f"markers {b.ids.start} .. {b.ids.stop - 1} of {1e3 * b.marker:g} mm",
            )  # fmt: skip
            page.paste(board_face(settings, page.scale), (size[0] - b.size[0]) / 2, MARGIN + (room[1] - b.size[1]) / 2)
            return page.done()
    short, long = A4[0] - 2 * MARGIN, A4[1] - 2 * MARGIN
    raise SpecError(
        f"a board of {b.size[0]:.3f} x {b.size[1]:.3f} m does not fit on A4, which holds {short:.3f} x "
        f"{long - FOOT:.3f} m upright and {long:.3f} x {short - FOOT:.3f} m across; make its squares smaller or fewer"
    )


class _Page:
    """White paper of `size` [m], with a ruler. Places are metres from the upper left."""

    def __init__(self, size: tuple[float, float], dpi: int, about: str) -> None:
        self.size, self.scale = size, dpi / INCH  # [px/m]
        self.canvas = np.full((round(size[1] * self.scale), round(size[0] * self.scale)), 255, np.uint8)
        self.texts: list[tuple[str, float, float]] = []
        foot = size[1] - MARGIN - FOOT
        for step in range(11):  # every 10 mm
            self._fill(MARGIN + step * RULER / 10, foot + 0.004, 0.0, 0.006 if step % 5 == 0 else 0.003)
        self._fill(MARGIN, foot + 0.01, RULER, 0.0)
        self.text("100 mm: measure it. Print at 100 %, not fitted to the page.", MARGIN, foot + 0.011)
        self.text(about, MARGIN, foot + 0.016)

    def paste(self, face: Image, left: float, top: float) -> None:
        _put(self.canvas, face, round(left * self.scale), round(top * self.scale))

    def frame(self, left: float, top: float, wide: float, high: float) -> None:
        """A thin line around, to cut along."""
        for down in (0.0, high):
            self._fill(left, top + down, wide, 0.0)
        for right in (0.0, wide):
            self._fill(left + right, top, 0.0, high)

    def text(self, words: str, left: float, top: float) -> None:
        self.texts.append((words, left, top))

    def done(self) -> Pictures.Image:
        picture = Pictures.fromarray(self.canvas)
        draw, font = ImageDraw.Draw(picture), ImageFont.load_default(0.0035 * self.scale)
        for words, left, top in self.texts:
            draw.text((left * self.scale, top * self.scale), words, 0, font)
        return picture.convert("1", dither=Pictures.Dither.NONE)

    def _fill(self, left: float, top: float, wide: float, high: float) -> None:
        """Black, one pixel wide where it has no width."""
        x, y, right, bottom = (round(v * self.scale) for v in (left, top, left + wide, top + high))
        self.canvas[y : bottom + 1, x : right + 1] = 0


def _put(canvas: Image, face: Image, left: int, top: int) -> None:
    canvas[top : top + face.shape[0], left : left + face.shape[1]] = face


def write_sheet(settings: MarkerSet, out: Path, dpi: int = 300) -> list[Path]:
    """Write the pages to one PDF, or to PNG files `out`, `out`-2 and so on. Returns what was written."""
    kinds = (".pdf", ".png")
    if out.suffix.lower() not in kinds:
        raise UnknownNameError("kind of sheet", out.suffix, kinds)
    made = pages(settings, dpi)
    if out.suffix.lower() == ".pdf":
        file = io.BytesIO()
        made[0].save(file, "PDF", resolution=dpi, save_all=True, append_images=made[1:])
        write_whole(out, file.getvalue())
        return [out]
    written = [out if n == 0 else out.with_stem(f"{out.stem}-{n + 1}") for n in range(len(made))]
    for page, path in zip(made, written, strict=True):
        file = io.BytesIO()
        page.save(file, "PNG", dpi=(dpi, dpi))
        write_whole(path, file.getvalue())
    return written
