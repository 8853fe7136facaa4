"""Generative Value Learning (2411.04549): a model is asked how far along each of some shuffled frames is."""

from vgps_models.progress.gvl.estimator import GVL, GVLConfig

__all__ = ["GVL", "GVLConfig"]
