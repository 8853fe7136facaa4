"""A small head on the encoder's view of the images, trained on our own data: needs no network and no key."""

from vgps_models.progress.learned.estimator import Learned
from vgps_models.progress.learned.network import ProgressConfig, ProgressNet

__all__ = ["Learned", "ProgressConfig", "ProgressNet"]
