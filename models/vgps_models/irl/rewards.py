"""Every kind of learned reward, and one way to load them."""

from __future__ import annotations

from pathlib import Path

from vgps_models.errors import DataError
from vgps_models.irl.keypoint_reward import KeypointReward
from vgps_models.irl.learned import LearnedReward, read_card
from vgps_models.irl.perceptual import PerceptualReward

KINDS: dict[str, type[LearnedReward]] = {kind.kind: kind for kind in (KeypointReward, PerceptualReward)}


def load_reward(path: Path) -> LearnedReward:
    """A reward of whatever kind its card says. DataError when the file is missing, damaged or of no known kind."""
    kind = read_card(path)["kind"]
    if kind not in KINDS:
        raise DataError(f"{path} holds a reward of the kind {kind}; known are: {', '.join(sorted(KINDS))}")
    return KINDS[kind].load(path)
