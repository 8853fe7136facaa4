"""A contact sheet: a row a video, its moments from left to right, what is said of it below."""

from __future__ import annotations

import io

import numpy as np
from PIL import Image as Picture
from PIL import ImageDraw, ImageFont

from vgps_models.errors import DataError
from vgps_models.video.sampling import Ints
from vgps_models.video.shards import VideoShards

GAP, LINE = 4, 14  # [px]


def sheet(shards: VideoShards, videos: Ints, columns: int = 8) -> bytes:
    """A PNG of some videos at evenly spread moments, their first and last frames among them."""
    if not len(videos) or columns < 2:
        raise DataError(f"a sheet of {len(videos)} videos and {columns} columns shows nothing")
    size = shards.form.size
    height = size + LINE + GAP
    page = Picture.new("RGB", (columns * (size + GAP) + GAP, len(videos) * height + GAP), "white")
    draw, font = ImageDraw.Draw(page), ImageFont.load_default(11)
    for row, number in enumerate(videos.tolist()):
        video, first = shards.videos[number], int(shards.bounds[number])
        moments = first + np.linspace(0, video.frames - 1, min(columns, video.frames)).round().astype(np.int64)
        top = GAP + row * height
        for column, image in enumerate(shards.read(moments)):
            page.paste(Picture.fromarray(image), (GAP + column * (size + GAP), top))
        seconds = video.frames / shards.form.hz
        words = f"{video.name}  {video.view}  {seconds:.1f} s  {video.text}"
        draw.text((GAP, top + size), words, fill="black", font=font)
    buffer = io.BytesIO()
    page.save(buffer, "PNG")
    return buffer.getvalue()


def choose(shards: VideoShards, count: int, seed: int = 0) -> Ints:
    """Some videos at random, in their order; of every source, if there are not more sources than that."""
    random = np.random.Generator(np.random.PCG64([seed, 13]))
    sources = np.array([video.source for video in shards.videos])
    order = random.permutation(len(sources))
    one_each = [order[sources[order] == source][0] for source in sorted(set(sources.tolist()))][:count]
    rest = order[~np.isin(order, one_each)][: max(0, count - len(one_each))]
    return np.sort(np.concatenate([one_each, rest]).astype(np.int64))
