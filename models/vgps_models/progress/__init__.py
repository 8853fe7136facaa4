"""How far along: estimates of task progress from images, and what they are worth."""

from vgps_models.progress.estimate import Clip, Estimate, Estimator, Example, Usage

__all__ = ["Clip", "Estimate", "Estimator", "Example", "Usage"]
