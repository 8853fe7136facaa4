"""Episodes refuse what could not be stored faithfully."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgps_models.data.episodes import ACTION, ENVIRONMENT_STATE, Episode, example_episode
from vgps_models.errors import DataError

EPISODE = example_episode(7)


@given(st.integers(0, 99), st.integers(1, 20))
def test_flags_mark_the_last_step_only(seed: int, steps: int) -> None:
    episode = example_episode(seed, steps=steps, size=8)
    flags = episode.flags()
    assert flags["next.done"].tolist() == [False] * (steps - 1) + [True]
    assert flags["next.success"].any() == episode.success
    assert not (flags["next.success"] & ~flags["next.done"]).any()


@pytest.mark.parametrize("attribute", ["proprio", "joints", "actions", "commanded", "environment_state"])
def test_vectors_are_refused_by_name(attribute: str) -> None:
    good = getattr(EPISODE, attribute)
    with pytest.raises(DataError, match=attribute):
        replace(EPISODE, **{attribute: good[:, 0]})
    with pytest.raises(DataError, match=f"{attribute} is not finite at steps \\[3\\]"):
        bad = good.copy()
        bad[3, 0] = np.nan
        # Whatever is not given follows the actions, so give it.
        replace(EPISODE, **{"commanded": EPISODE.commanded, attribute: bad})


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"images": {}}, "camera"),
        ({"images": {"front": EPISODE.images["front"][:-1]}}, "front"),
        ({"images": {"front": EPISODE.images["front"].astype(float)}}, "uint8"),
        ({"images": {"front": EPISODE.images["front"][:, :7]}}, "even"),
        ({"instruction": ""}, "instruction"),
        ({"task_id": "../elsewhere"}, "task id"),
        ({"seed": -1}, "seed"),
        ({"flawed": np.zeros(3, bool)}, "flawed"),
    ],
)
def test_what_cannot_be_stored_is_refused(change: dict, message: str) -> None:
    with pytest.raises(DataError, match=message):
        replace(EPISODE, **change)


def test_defaults() -> None:
    episode = Episode(
        images=EPISODE.images,
        proprio=EPISODE.proprio,
        joints=EPISODE.joints,
        actions=EPISODE.actions,
        instruction="x",
        task_id="t",
        seed=0,
        success=True,
    )
    assert ENVIRONMENT_STATE not in episode.vectors()
    assert np.array_equal(episode.vectors()["commanded_action"], episode.vectors()[ACTION])
    assert not episode.flags()["flawed"].any()


def test_images_hash_sees_one_pixel_of_one_camera() -> None:
    images = {name: frames.copy() for name, frames in EPISODE.images.items()}
    images["wrist"][3, 4, 5, 1] += 1
    assert replace(EPISODE, images=images).images_hash() != EPISODE.images_hash()
    assert example_episode(7).images_hash() == EPISODE.images_hash()
