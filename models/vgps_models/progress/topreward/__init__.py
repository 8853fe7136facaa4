"""TOPReward (2602.19313): how likely a model takes the task for done after the first t frames is the progress at t."""

from vgps_models.progress.topreward.estimator import TOPReward, TOPRewardConfig

__all__ = ["TOPReward", "TOPRewardConfig"]
