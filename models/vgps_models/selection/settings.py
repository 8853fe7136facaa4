"""The settings of a choice, checked once, when they are made."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Annotated, Any

from vgps_models.errors import VgpsError
from vgps_models.limits import Between, OneOf, check_limits

RULES = {
    "first": "the policy's own first sample",
    "random": "any candidate",
    "worst": "the lowest mean",
    "argmax": "the highest mean",
    "softmax": "one drawn with probability exp(mean / beta) (V-GPS, 2410.13816)",
    "mean_std": "the highest mean - penalty * std",
    "pessimistic": "the highest mean - penalty * std + likelihood * log p (SVA, 2607.03751)",
    "weighted_mean": "the mean of all candidates, weighted by exp(mean / beta) (Q-Planning)",
}
UNSCORED = ("first", "random")  # rules that need no critic
DENSITIES = {
    "kernel": "estimated from the candidates themselves: fits every policy",
    "policy": "as the policy says; refused when it cannot tell",
}
REFINEMENTS = {
    "none": "the chunk is executed as it was chosen",
    "cem": "cross-entropy method around the chosen chunk",
    "gradient": "gradient ascent from the chosen chunk (QPILOTS, 2606.14801)",
}


class SelectionError(VgpsError):
    """There is nothing to choose from, or the settings of a choice contradict each other."""


@dataclass(frozen=True)
class Selection:
    """How a chunk is chosen: expand, score, choose by the rule, refine, abstain."""

    # first, random, worst, argmax, softmax, mean_std, pessimistic or weighted_mean
    rule: Annotated[str, OneOf(RULES)] = "pessimistic"
    beta: Annotated[float, Between(0)] = 1.0  # temperature of softmax and weighted_mean [score]
    # weight of the standard deviation over heads in mean_std, pessimistic and in refinement
    penalty: Annotated[float, Between(0)] = 1.0
    likelihood: Annotated[float, Between(0)] = 1.0  # weight of log p in pessimistic [score]
    # whose log p: kernel (estimated from the candidates) or policy
    density: Annotated[str, OneOf(DENSITIES)] = "kernel"
    # more chunks drawn from a Gaussian fitted to the candidates, and scored as well
    expand: Annotated[int, Between(0, 10_000)] = 0
    refine: Annotated[str, OneOf(REFINEMENTS)] = "none"  # what improves the chosen chunk: none, cem or gradient
    refine_steps: Annotated[int, Between(1, 1000)] = 3  # iterations of the refinement
    # how far refinement may move any number of a chunk [normalized units]
    trust_region: Annotated[float, Between(0)] = 0.1
    # standard deviation over heads [score] above which the policy's first sample is executed; 0 for never
    abstain: Annotated[float, Between(0)] = 0.0

    def __post_init__(self) -> None:
        check_limits(self, SelectionError)
        if self.rule in ("softmax", "weighted_mean") and not self.beta > 0:
            raise SelectionError(f"{self.rule} needs beta > 0, not {self.beta}; use argmax for the limit beta -> 0")
        if self.refine != "none" and not self.trust_region > 0:
            raise SelectionError(f"refinement needs trust_region > 0, not {self.trust_region}")
        if self.rule in UNSCORED and (self.expand or self.refine != "none" or self.abstain):
            raise SelectionError(f"rule '{self.rule}' looks at no scores, so expand, refine and abstain mean nothing")
        if self.rule == "pessimistic" and self.density == "policy" and self.expand:
            raise SelectionError("a policy cannot tell the density of chunks that are not its own; use density kernel")

    @property
    def scored(self) -> bool:
        """Whether a critic is needed."""
        return self.rule not in UNSCORED

    def require_critic(self, there: bool) -> None:
        """Refuse a choice that looks at scores when there is nobody to give them."""
        if self.scored and not there:
            raise SelectionError(f"rule '{self.rule}' needs a critic; without one use: {', '.join(UNSCORED)}")

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Selection:
        """Of a larger mapping too: what is not ours is left out, what is missing is the default."""
        return cls(**{field.name: data[field.name] for field in fields(cls) if field.name in data})
