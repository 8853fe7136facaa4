"""An estimator of progress as the judge of an episode's images: whoever plays gives it nothing else."""

from __future__ import annotations

from collections.abc import Mapping

from vgps_models.spaces import Image


class Onlooker:
    """A `vgps_sim.episode.Judge`. Picklable by its factory: `partial(Onlooker, checkpoint)`."""

    def __init__(self, checkpoint: str) -> None:
        from vgps_models.progress.backends import load_judge  # torch, which --help does not need

        self._estimator = load_judge(checkpoint)
        self.threshold = self._estimator.threshold

    def __call__(self, images: Mapping[str, Image], instruction: str) -> float:
        values, _ = self._estimator.judge({name: image[None] for name, image in images.items()}, instruction)
        return float(values[0])
