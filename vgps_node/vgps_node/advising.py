"""Who says how far along the task is: the settings of `progress_node`, `vgps up` and launch files. Knows no ROS."""

from __future__ import annotations

from dataclasses import dataclass, field

from vgps_models.errors import UnknownNameError, VgpsError
from vgps_models.progress.chat import ChatConfig
from vgps_models.progress.gvl import GVLConfig

ESTIMATORS = ("none", "learned", "gvl", "learned+gvl")


@dataclass(frozen=True)
class ProgressOptions:
    """Whom progress_node asks, and how often."""

    # none: nobody | learned: our own, needs no network | gvl: a vision-language model, in the background | learned+gvl
    estimator: str = "learned"
    checkpoint: str = "progress"  # of learned: a shipped name or a path; imagetext judges by VLM-RM instead
    every: int = 2  # control steps between two learned estimates; the last step is always judged
    period: float = 10.0  # least time between two questions to the vision-language model [s]
    frames: int = 15  # pictures of the episode so far that a question shows
    gvl: GVLConfig = field(default_factory=lambda: GVLConfig(ChatConfig(budget_usd=1.0)))

    def __post_init__(self) -> None:
        if self.estimator not in ESTIMATORS:
            raise UnknownNameError("estimator of progress", self.estimator, ESTIMATORS)
        for name, least in (("every", 1), ("frames", 3)):
            if getattr(self, name) < least:
                raise VgpsError(f"{name} ({getattr(self, name)}) must be at least {least}")
        if not self.period > 0:
            raise VgpsError(f"period ({self.period} s) must be above 0")
        if self.gvl.shuffles < 1:
            raise VgpsError(f"gvl.shuffles ({self.gvl.shuffles}) must be at least 1")

    @property
    def learned(self) -> bool:
        return "learned" in self.estimator

    @property
    def asking(self) -> bool:
        """Whether a vision-language model is asked."""
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
