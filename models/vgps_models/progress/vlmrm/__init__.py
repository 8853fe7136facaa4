"""VLM-RM (2310.12921): how near an image comes to a sentence that tells the goal, seen from one that tells the state
before. The words are compared by an image-text model: our own small one, or any CLIP that open_clip knows."""

from vgps_models.progress.vlmrm.estimator import VLMRM, VLMRMConfig

__all__ = ["VLMRM", "VLMRMConfig"]
