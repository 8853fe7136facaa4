"""Settings of `progress_node`, for `vgps up` and launch files too. Knows no ROS."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated

from vgps_models.errors import VgpsError
from vgps_models.limits import Between, OneOf, check_limits
from vgps_models.progress.chat import ChatConfig
from vgps_models.progress.gvl import GVLConfig

ESTIMATORS = ("none", "learned", "gvl", "learned+gvl")


@dataclass(frozen=True)
class ProgressOptions:
    """How progress_node estimates progress, and how often."""

    # none: no estimates | learned: our own model, needs no network | gvl: a vision-language model, in the background |
    # learned+gvl: both
    estimator: Annotated[str, OneOf(ESTIMATORS)] = "learned"
    checkpoint: str = "progress"  # of the learned estimator: a shipped name or a path; imagetext estimates by VLM-RM
    # control steps between two learned estimates; the last step always gets one
    every: Annotated[int, Between(1, 1000)] = 2
    period: Annotated[float, Between(0.1, 3600)] = 10.0  # shortest time between two questions to the model [s]
    frames: Annotated[int, Between(3, 100)] = 15  # images of the episode so far that a question shows
    gvl: GVLConfig = field(default_factory=lambda: GVLConfig(ChatConfig(budget_usd=1.0)))

    def __post_init__(self) -> None:
        check_limits(self)
        if self.gvl.shuffles < 1:
            raise VgpsError(f"gvl.shuffles ({self.gvl.shuffles}) must be at least 1")

    @property
    def learned(self) -> bool:
        return "learned" in self.estimator

    @property
    def asking(self) -> bool:
        """Whether questions go to a vision-language model."""
        return "gvl" in self.estimator

    def require(self) -> None:
        """Refuse now what would fail in the middle of an episode: no model, no key, a budget without prices."""
        if not self.asking:
            return
        chat = self.gvl.chat
        if not chat.model:
            raise VgpsError(
                "which vision-language model? name one that the endpoint serves: --progress.gvl.chat.model NAME "
                "(of progress_node: the parameter gvl.chat.model)"
            )
        chat.key()
        if not chat.local and chat.budget_usd and not (chat.price.input and chat.price.output):
            raise VgpsError(
                f"what does {chat.model} cost? give gvl.chat.price.input and gvl.chat.price.output [US dollars a "
                f"million tokens]; without them the budget of {chat.budget_usd:g} US dollars would hold nothing back"
            )
