"""Episode data: a crash-safe writer and a reader of the LeRobot v3 layout."""

from vgps_models.data.episodes import Episode
from vgps_models.data.store import Columns, EpisodeStore
from vgps_models.data.video import VideoSettings
from vgps_models.data.writer import EpisodeWriter

__all__ = ["Columns", "Episode", "EpisodeStore", "EpisodeWriter", "VideoSettings"]
