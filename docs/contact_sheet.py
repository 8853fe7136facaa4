"""Moments of videos that `vgps videos` wrote, one a row: docs/contact_sheet.py data/sheet docs/images/videos.jpg."""

import json
import sys
from pathlib import Path

import av
import numpy as np
from PIL import Image, ImageDraw, ImageFont

MOMENTS, SIDE, EACH = 8, 96, 2  # pictures of a row, their width [px], rows of an embodiment


def main() -> None:
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    entries = [json.loads(line) for line in (folder / "index.jsonl").read_text(encoding="utf-8").splitlines()]
    tasks = sorted({entry["task_id"] for entry in entries})
    chosen = []
    for number, embodiment in enumerate(sorted({entry["embodiment"] for entry in entries})):
        for turn in range(EACH):  # each embodiment at other tasks
            task = tasks[(EACH * number + turn) % len(tasks)]
            fits = [e for e in entries if e["success"] and (e["embodiment"], e["task_id"]) == (embodiment, task)]
            chosen += fits[turn : turn + 1] or fits[:1]
    sheet = Image.new("RGB", (MOMENTS * SIDE, len(chosen) * SIDE))
    draw = ImageDraw.Draw(sheet)
    for row, entry in enumerate(chosen):
        with av.open(str(folder / entry["file"])) as container:
            frames = [frame.to_image() for frame in container.decode(video=0)]
        for column, moment in enumerate(np.linspace(0, len(frames) - 1, MOMENTS).round().astype(int)):
            sheet.paste(frames[moment].resize((SIDE, SIDE)), (column * SIDE, row * SIDE))
        label = f"{entry['embodiment']}: {entry['task']}"
        place = (5, row * SIDE + 4)
        draw.text(place, label, "white", ImageFont.load_default(11), stroke_width=2, stroke_fill="black")
    sheet.save(out, quality=85, optimize=True)


if __name__ == "__main__":
    main()
