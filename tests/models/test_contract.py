"""The contract: the one map of topics, keys and tensors."""

from __future__ import annotations

import numpy as np
import pytest

from vgps_models.contract import Contract
from vgps_models.errors import DataError, SpecError
from vgps_models.resources import launch_file
from vgps_models.spaces import ACTION_NAMES, PROPRIO_NAMES


def test_it_says_what_the_spaces_say() -> None:
    contract = Contract.load()
    assert contract.action.shape == (len(ACTION_NAMES),) and contract.state.shape == (len(PROPRIO_NAMES),)
    keys = [feature.key for feature in contract.features]
    topics = [feature.topic for feature in contract.features]
    assert len(set(keys)) == len(keys) and len(set(topics)) == len(topics)


def test_it_names_the_arms_joints() -> None:
    from vgps_sim.arms import get_arm

    contract, arm = Contract.load(), get_arm("widowx_ai")
    assert contract.joints == arm.joints
    assert (contract.gripper_joint, contract.gripper_travel) == (arm.gripper_joint, arm.gripper_travel)


def test_it_names_the_keys_that_data_sets_have() -> None:
    from vgps_models.data.episodes import example_episode
    from vgps_models.data.records import frame_table

    contract, episode = Contract.load(), example_episode()
    columns = set(frame_table(episode).column_names) | {f"observation.images.{name}" for name in episode.images}
    for feature in (*contract.images.values(), contract.state, contract.action):
        assert feature.key in columns


@pytest.mark.parametrize("value", [np.zeros((128, 128, 4), np.uint8), np.zeros((128, 128, 3), np.float32)])
def test_other_tensors_are_refused_by_topic(value: np.ndarray) -> None:
    front = Contract.load().images["front"]
    with pytest.raises(SpecError, match="/camera/front/image_raw"):
        front.check(value)
    assert front.check(np.zeros((128, 128, 3), np.uint8)).shape == front.shape


@pytest.mark.parametrize("part", ["images", "state", "joints", "task", "action"])
def test_a_missing_part_is_named(part: str) -> None:
    text = launch_file("config", "contract.yaml").read_text().replace(f"\n{part}:", "\nother:")
    with pytest.raises(DataError, match=part):
        Contract.from_yaml(text)


@pytest.mark.parametrize("text", ["", "[", "images: 3", "- a"])
def test_nonsense_is_refused(text: str) -> None:
    with pytest.raises(DataError):
        Contract.from_yaml(text)
