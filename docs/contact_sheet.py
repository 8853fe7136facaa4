"""Moments of videos that `vgps videos` wrote, one a row: docs/contact_sheet.py data/people docs/images/videos.jpg."""

import json
import sys
from pathlib import Path

import av
import numpy as np
from PIL import Image

MOMENTS = 8


def main() -> None:
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    each = int(sys.argv[3]) if len(sys.argv) > 3 else 2
    rows = [json.loads(line) for line in (folder / "index.jsonl").read_text().splitlines()]
    strips = []
    for embodiment in sorted({row["embodiment"] for row in rows}):
        shown = [row for row in rows if row["embodiment"] == embodiment and row["success"]]
        for row in [r for t in dict.fromkeys(r["task_id"] for r in shown) for r in shown if r["task_id"] == t][:each]:
            with av.open(str(folder / row["file"])) as container:
                frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
            picked = np.linspace(0, len(frames) - 1, MOMENTS).round().astype(int)
            strips.append(np.concatenate([frames[i] for i in picked], axis=1))
    Image.fromarray(np.concatenate(strips)).save(out, quality=80, optimize=True)


if __name__ == "__main__":
    main()
