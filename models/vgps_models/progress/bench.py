"""How fast questions to a vision-language model are made: frames decoded, pictures encoded, words put around them."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.progress import track

from vgps_models.data import EpisodeStore
from vgps_models.data.records import Videos
from vgps_models.progress.clips import of_episode
from vgps_models.progress.gvl.questions import moments, question, shuffle


@dataclass(frozen=True)
class PromptBench:
    """`vgps bench prompts`: GVL questions a second, from files on disk to the body of a request."""

    data: Path = Path("data/mixed")  # episode store
    episodes: int = 1000  # questions; episodes are taken again when there are fewer
    frames: int = 30  # moments of an episode
    cameras: tuple[str, ...] = ()  # views of a moment; all of them when none is named
    threads: int = 2  # decoding lets go of the interpreter, so threads help


def bench_prompts(config: PromptBench) -> dict[str, Any]:
    store = EpisodeStore(config.data)
    own = threading.local()

    def make(episode: int) -> tuple[int, int]:
        """Pictures and bytes of one request."""
        if not hasattr(own, "videos"):
            own.videos = Videos()
        clip = of_episode(store, episode, config.frames, config.cameras, videos=own.videos)
        prompt = question(clip.task, moments(clip), shuffle(len(clip), 0), [], describe=True, draw=0)
        body = prompt.body()
        return len(clip) * len(clip.views), sum(len(str(part)) for message in body for part in message["content"])

    def made() -> Iterator[tuple[int, int]]:
        with ThreadPoolExecutor(config.threads) as pool:
            yield from pool.map(make, (i % len(store) for i in range(config.episodes)))

    began = time.perf_counter()
    console = Console(emoji=False, stderr=True)
    counts = np.array(list(track(made(), "making questions", total=config.episodes, console=console)))
    seconds = time.perf_counter() - began
    return {
        "episodes": config.episodes,
        "frames": config.frames,
        "views": list(config.cameras or store.cameras),
        "threads": config.threads,
        "pictures": int(counts[:, 0].sum()),
        "megabytes": round(float(counts[:, 1].sum()) / 1e6, 1),
        "seconds": round(seconds, 2),
        "episodes_per_second": round(config.episodes / seconds, 1),
    }
