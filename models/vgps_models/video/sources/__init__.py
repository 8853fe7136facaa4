"""Where video comes from: folders of files or frames, LeRobot data sets, bags, Ego4D, Something-Something v2, RLDS."""

from vgps_models.video.sources.base import Recording, Source, SourceOptions
from vgps_models.video.sources.finding import KINDS, open_sources

__all__ = ["KINDS", "Recording", "Source", "SourceOptions", "open_sources"]
