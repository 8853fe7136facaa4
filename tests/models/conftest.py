"""Small worlds to learn from: drawn scenes, short episodes, and checkpoints trained on them for a moment."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

sys.path.insert(0, str(Path(__file__).parent))  # helpers beside these tests can be imported by name


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Tests whose module imports torch are numerical; others that compute with it say so themselves."""
    for item in items:
        if isinstance(item, pytest.Function) and "torch" in vars(item.module):
            item.add_marker(pytest.mark.numerical)


SIZE = 32  # [px]
INSTRUCTIONS = ("put the spoon on the towel", "put the carrot on the plate")
TASKS = ("put_spoon_on_towel", "put_carrot_on_plate")


def draw(spot: np.ndarray, target: np.ndarray, rng: np.random.Generator, size: int = SIZE) -> np.ndarray:
    """A red square at `spot` and a green one at `target` [px, (u, v)] on a noisy table."""
    image = rng.integers(90, 110, (size, size, 3)).astype(np.uint8)
    for (u, v), colour in ((target, (20, 200, 20)), (spot, (220, 30, 30))):
        image[max(0, int(v) - 2) : int(v) + 3, max(0, int(u) - 2) : int(u) + 3] = colour
    return image


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Torch threads that wait for each other on a busy machine would take minutes for nothing."""
    import torch

    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def scenes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two shards of drawn scenes whose pixels tell the positions."""
    from vgps_models.training.scenes import write_scenes

    folder, rng = tmp_path_factory.mktemp("scenes"), np.random.default_rng(0)
    for shard in range(2):
        n = 48
        pixels = rng.uniform(4, SIZE - 4, (n, 1, 2, 2)).repeat(2, axis=1)
        where = np.concatenate([(pixels[:, 0] / SIZE - 0.5) * 0.3 + [0.28, 0.0], np.full((n, 2, 1), 0.02)], axis=-1)
        images = np.stack([draw(p[0, 0], p[0, 1], rng) for p in pixels])
        arrays = {
            "front": images,
            "wrist": images,
            "proprio": rng.normal(size=(n, 10)).astype(np.float32),
            "instruction": rng.integers(0, 2, n),
            "object_position": where[:, 0].astype(np.float32),
            "target_position": where[:, 1].astype(np.float32),
            "object_yaw": rng.uniform(-1.5, 1.5, n).astype(np.float32),
            "held": rng.random(n) < 0.5,
            "pixels": pixels.astype(np.float32),
            "visible": rng.random((n, 2, 2)) < 0.9,
        }
        write_scenes(folder / str(shard), arrays, instructions=INSTRUCTIONS, cameras=("front", "wrist"))
    return folder


@pytest.fixture(scope="session")
def episodes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data set of ten short episodes of two tasks, every second one a success."""
    from vgps_models.data import Episode, EpisodeWriter

    root, rng = tmp_path_factory.mktemp("episodes"), np.random.default_rng(1)
    writer = EpisodeWriter(root)
    for i in range(10):
        steps, task = 9 + i % 3, i % 2
        spots = np.cumsum(rng.normal(0, 1, (steps, 2)), axis=0) + SIZE / 2
        images = np.stack([draw(s.clip(3, SIZE - 3), np.array([8, 8]), rng) for s in spots])
        actions = np.concatenate(
            [rng.uniform(-0.02, 0.02, (steps, 3)), rng.uniform(-0.2, 0.2, (steps, 3)), rng.integers(0, 2, (steps, 1))],
            axis=-1,
        )
        writer.write(
            Episode(
                images={"front": images, "wrist": images},
                proprio=rng.normal(size=(steps, 10)).astype(np.float32),
                joints=rng.normal(size=(steps, 7)).astype(np.float32),
                actions=actions.astype(np.float32),
                instruction=INSTRUCTIONS[task],
                task_id=TASKS[task],
                seed=i,
                success=i % 4 < 2,
            )
        )
    writer.finalise()
    return root


@pytest.fixture(scope="session")
def small_encoder():
    """An encoder that is small enough for tests."""
    from vgps_models.perception.encoder import EncoderConfig

    return EncoderConfig(image_size=SIZE, channels=(8, 16, 16), context=8, free=4, words=16, hidden=32, latent=8)


@pytest.fixture(scope="session")
def encoder_file(scenes: Path, small_encoder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from vgps_models.training.encoder import EncoderTraining, train_encoder

    out = tmp_path_factory.mktemp("encoder") / "encoder.safetensors"
    made = train_encoder(EncoderTraining(data=scenes, out=out, steps=6, batch=16, threads=1, model=small_encoder))
    assert made == out
    return out


@pytest.fixture(scope="session")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def policy_file(encoder_file: Path, episodes: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from vgps_models.training.policy import PolicyTraining, train_policy

    out = tmp_path_factory.mktemp("policy") / "policy.safetensors"
    train_policy(
        PolicyTraining(
            data=episodes, encoder=str(encoder_file), out=out, cache=cache,
            steps=8, batch=16, threads=1, held_out=0.2, model={"width": 32, "depth": 2, "words": 8},
        )
    )  # fmt: skip
    return out


@pytest.fixture(scope="session")
def critic_file(policy_file: Path, episodes: Path, cache: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from vgps_models.critics.network import CriticConfig
    from vgps_models.training.critic import CriticTraining, train_critic

    out = tmp_path_factory.mktemp("critic") / "critic.safetensors"
    train_critic(
        CriticTraining(
            data=episodes, policy=str(policy_file), out=out, cache=cache, samples=4, steps=8, batch=16,
            wrong_batch=8, threads=1, held_out=0.4, model=CriticConfig(width=32, words=8),
        )
    )  # fmt: skip
    return out


@pytest.fixture(scope="session")
def observe() -> Callable:
    """observe(step): an observation of the drawn world."""
    from vgps_models.spaces import Observation

    def make(step: int = 0, seed: int = 0, instruction: str = INSTRUCTIONS[0], size: int = SIZE) -> Observation:
        rng = np.random.default_rng([seed, step])
        image = draw(rng.uniform(4, size - 4, 2), rng.uniform(4, size - 4, 2), rng, size)
        proprio = rng.normal(size=10).astype(np.float32)
        return Observation({"front": image, "wrist": image}, proprio, instruction, key=(seed, step))

    return make
