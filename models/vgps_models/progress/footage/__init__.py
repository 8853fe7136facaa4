"""Whatever shows an attempt at a task: our data sets, other LeRobot data sets, bags of ROS, video files."""

from vgps_models.progress.footage.base import Footage, Scene, open_footage, scene_of

__all__ = ["Footage", "Scene", "open_footage", "scene_of"]
