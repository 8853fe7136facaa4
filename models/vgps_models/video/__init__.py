"""Action-free video for value functions: sources, shards, transitions and the loader that feeds a trainer.

Numpy alone; tensors are made by whoever learns from the batches.
"""

from vgps_models.video.form import Form, Problem, Video
from vgps_models.video.loading import Loader
from vgps_models.video.sampling import Sampler, Sampling, Transitions, split_videos
from vgps_models.video.shards import VideoShards

__all__ = [
    "Form", "Loader", "Problem", "Sampler", "Sampling", "Transitions", "Video", "VideoShards", "split_videos",
]  # fmt: skip
