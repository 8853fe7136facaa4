"""Make the readme's picture from a video of an evaluation: docs/pictures.py runs/report/videos/NAME.mp4 [fraction]."""

import sys
from pathlib import Path

import av


def main() -> None:
    video, fraction = Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 0.4
    with av.open(str(video)) as container:
        frames = list(container.decode(video=0))
    picture = frames[int(fraction * len(frames))].to_image()
    picture.save(Path(__file__).parent / "images" / "overview.png", optimize=True)


if __name__ == "__main__":
    main()
