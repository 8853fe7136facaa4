"""vgps train encoder|video|policy|critic|pixels|progress|imagetext|points|trust"""

from __future__ import annotations

import importlib
import shlex
import sys
from collections.abc import Sequence

import tyro

from vgps_models.interrupts import ending
from vgps_node.cli import choose

PARTS = {
    "encoder": ("encoder", "EncoderTraining", "train_encoder"),
    "video": ("video", "VideoTraining", "train_video"),
    "policy": ("policy", "PolicyTraining", "train_policy"),
    "critic": ("critic", "CriticTraining", "train_critic"),
    "pixels": ("pixel_critic", "PixelTraining", "train_pixels"),
    "progress": ("progress", "ProgressTraining", "train_progress"),
    "imagetext": ("imagetext", "ImageTextTraining", "train_imagetext"),
    "points": ("points", "PointTraining", "train_points"),
    "trust": ("trust", "TrustCalibration", "calibrate_trust"),
}
INTERRUPTED = 130  # the exit code, as shells give it


def main(arguments: Sequence[str], *, prog: str) -> int:
    """Train one part; interrupted, the same command goes on where it stopped.

    Examples:
        vgps train encoder --data data/scenes --out runs/encoder.safetensors
        vgps train video --data data/shards --out runs/video.safetensors
        vgps train policy --data data/mixed --encoder runs/encoder.safetensors --out runs/policy.safetensors
        vgps train critic --data data/mixed --policy runs/policy.safetensors --out runs/critic.safetensors
        vgps train critic --data data/mixed --policy policy --encoder runs/video.safetensors --encoder-rate 1e-4
        vgps train pixels --data data/mixed --policy runs/policy.safetensors --out runs/pixel_critic.safetensors
        vgps train progress --data data/mixed --out runs/progress.safetensors
        vgps train imagetext --data data/vlmrm --out runs/imagetext.safetensors
        vgps train points --data data/poses --out runs/points.safetensors
        vgps train trust --data data/mixed --policy runs/policy.safetensors --critic runs/critic.safetensors
    Several processes or GPUs:
        accelerate launch --multi_gpu --num_processes 2 .venv/bin/vgps train critic --threads 1
    """
    part, rest = choose("part", list(PARTS), arguments, prog=prog, about=main.__doc__ or "")
    module_name, config_name, train_name = PARTS[part]
    try:
        with ending():
            module = importlib.import_module(f"vgps_models.training.{module_name}")
            config = tyro.cli(getattr(module, config_name), args=rest, prog=f"{prog} {part}")
            out = getattr(module, train_name)(config)
    except KeyboardInterrupt as interrupt:
        parallel = sys.modules.get("vgps_models.training.parallel")  # not there yet when it came very early
        if parallel is None or parallel.leads():
            said = str(interrupt) or "interrupted before or after the updates; what was saved is kept"
            alone = parallel is None or parallel.processes() == 1
            again = shlex.join([*prog.split(), *arguments]) if alone else "the same command"
            print(f"{said}; go on with: {again}", file=sys.stderr)
        return INTERRUPTED
    from vgps_models.training import parallel  # with torch, which --help does not need

    if parallel.leads():
        print(f"wrote {out}" if out else "stopped before the end; the same command goes on from here")
    return 0 if out else 1
