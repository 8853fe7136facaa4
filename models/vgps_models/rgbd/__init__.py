"""Recordings of colour and depth: folders and bags, what is wrong with them, and writing one."""

from vgps_models.rgbd.recording import Faults, Frame, Recording, open_recording

__all__ = ["Faults", "Frame", "Recording", "open_recording"]
