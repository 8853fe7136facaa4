"""What LeRobot's own software does to a data set. Run by the Python of LeRobot's environment, never imported by a test.

python lerobot_tools.py COMMAND ARGUMENTS...    prints one line of JSON
"""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import torch
from lerobot.datasets.dataset_tools import delete_episodes, merge_datasets, remove_feature, split_dataset  # pyright: ignore[reportMissingImports]
from lerobot.datasets.lerobot_dataset import LeRobotDataset  # pyright: ignore[reportMissingImports]
from torch.utils.data import DataLoader


def opened(root: str) -> LeRobotDataset:
    return LeRobotDataset("local/vgps", root=root)


def load(root: str) -> dict:
    """What LeRobot reads: sizes, tasks, a hash of all numbers, the mean of some pictures, keys of a batch."""
    data = opened(root)
    digest, pictures = hashlib.sha256(), []
    for index in range(len(data)):
        item = data[index]
        digest.update(np.asarray(item["action"], np.float32).tobytes())
        if index % 5 == 0:
            images = {key: item[key] for key in data.meta.camera_keys}
            pictures.append({key: [round(float(i.mean()), 4), *i.shape] for key, i in images.items()})
    window = {"action": [0.0, 1 / data.fps, 2 / data.fps]}
    chunked = LeRobotDataset("local/vgps", root=root, delta_timestamps=window)
    batch = next(iter(DataLoader(chunked, batch_size=4)))
    return {
        "frames": len(data), "episodes": data.num_episodes, "fps": data.fps, "cameras": data.meta.camera_keys,
        "tasks": sorted(map(str, data.meta.tasks.index)), "actions": digest.hexdigest(), "pictures": pictures,
        "batch": {key: list(value.shape) for key, value in batch.items() if isinstance(value, torch.Tensor)},
    }  # fmt: skip


def delete(root: str, out: str, *episodes: str) -> dict:
    made = delete_episodes(opened(root), [int(e) for e in episodes], output_dir=out, repo_id="local/deleted")
    return {"episodes": made.num_episodes}


def split(root: str, out: str, first: str) -> dict:
    data = opened(root)
    parts = {"one": list(range(int(first))), "two": list(range(int(first), data.num_episodes))}
    made = split_dataset(data, parts, output_dir=out)
    return {name: part.num_episodes for name, part in made.items()}


def merge(one: str, two: str, out: str) -> dict:
    made = merge_datasets([opened(one), opened(two)], output_repo_id="local/merged", output_dir=out)
    return {"episodes": made.num_episodes}


def without(root: str, out: str, feature: str) -> dict:
    made = remove_feature(opened(root), feature, output_dir=out, repo_id="local/without")
    return {"features": sorted(made.meta.features)}


def append(root: str, out: str, frames: str) -> dict:
    """Record one more episode into a copy, as `lerobot-record --resume` does."""
    shutil.copytree(root, out)
    data = opened(out)
    generator = np.random.default_rng(0)
    task = str(data.meta.tasks.index[0])
    for step in range(int(frames)):
        frame: dict = {"task": task}
        for key, feature in data.features.items():
            if key in ("timestamp", "frame_index", "episode_index", "index", "task_index"):
                continue
            if feature["dtype"] in ("video", "image"):
                frame[key] = np.full(feature["shape"], 40 + 5 * step, np.uint8)
            elif feature["dtype"] == "bool":
                frame[key] = np.array([step == int(frames) - 1 and key != "flawed"])
            else:
                frame[key] = generator.uniform(0, 0.01, feature["shape"]).astype(np.float32)
        data.add_frame(frame)
    data.save_episode()
    data.finalize()
    return {"episodes": data.num_episodes, "frames": data.num_frames}


def main() -> None:
    command, *arguments = sys.argv[1:]
    made = {f.__name__: f for f in (load, delete, split, merge, without, append)}[command](*arguments)
    Path("/dev/stdout").write_text(json.dumps(made) + "\n")


if __name__ == "__main__":
    main()
