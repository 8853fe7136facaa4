"""What is found in photographs: docs/photographs_sheet.py tests/models/photographs docs/images/photographs.jpg.

Lines: the landmarks that were found. Rings: where a person marked them.
"""

import sys
from pathlib import Path

from PIL import Image, ImageDraw

from vgps_models.keypoints.hands import Hand, HandLandmarker
from vgps_models.keypoints.photographs import Photograph, read_photographs

HEIGHT, GAP = 330, 6  # of a picture, between two [px]
ROW = 6  # pictures
FOUND, MARKED = (255, 210, 0), (0, 230, 255)
FINGERS = [[0, *range(first, first + 4)] for first in (1, 5, 9, 13, 17)]


def drawn(photograph: Photograph, hands: list[Hand]) -> Image.Image:
    height, width = photograph.image.shape[:2]
    scale = HEIGHT / height
    picture = Image.fromarray(photograph.image).resize((round(width * scale), HEIGHT), Image.Resampling.LANCZOS)
    draw = ImageDraw.Draw(picture)
    for hand in hands:
        pixels = (hand.pixels + 0.5) * scale
        for finger in FINGERS:
            draw.line([tuple(pixels[k]) for k in finger], fill=FOUND, width=2)
    for u, v in (scale * (pixel + 0.5) for marked in photograph.hands for pixel in marked.pixels):
        draw.ellipse((u - 4, v - 4, u + 4, v + 4), outline=MARKED, width=2)
    return picture


def main() -> None:
    find = HandLandmarker()
    pictures = [drawn(p, find(p.image)) for p in read_photographs(Path(sys.argv[1])).values()]
    rows = [pictures[i : i + ROW] for i in range(0, len(pictures), ROW)]
    widths = [sum(picture.width + GAP for picture in row) - GAP for row in rows]
    sheet = Image.new("RGB", (max(widths), len(rows) * (HEIGHT + GAP) - GAP), "white")
    for i, row in enumerate(rows):
        left = 0
        for picture in row:
            sheet.paste(picture, (left, i * (HEIGHT + GAP)))
            left += picture.width + GAP
    sheet.save(Path(sys.argv[2]), quality=85, optimize=True)
    find.close()


if __name__ == "__main__":
    main()
