"""Checkpoints of the real classes with random weights: what they do is nonsense, but it is the same everywhere."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))  # helpers beside these tests can be imported by name


@dataclass(frozen=True)
class Checkpoints:
    policy: str
    critic: str


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Checkpoints:
    import torch

    from vgps_models import checkpoint
    from vgps_models.critics.network import CriticConfig, QEnsemble
    from vgps_models.perception.encoder import EncoderConfig, KeypointEncoder
    from vgps_models.perception.language import Language
    from vgps_models.policies.flow import FlowConfig, VelocityNet
    from vgps_models.spaces import ActionSpec, Normaliser
    from vgps_sim.tasks import TASKS

    torch.manual_seed(0)
    spec = ActionSpec()
    normaliser = Normaliser(tuple(spec.low.tolist()), tuple(spec.high.tolist()))
    instructions = tuple(task.instruction for task in TASKS.values())
    encoder, features = EncoderConfig(), EncoderConfig().features
    parts = {
        "policy": VelocityNet(FlowConfig(features=features)),
        "critic": QEnsemble(CriticConfig(features=features)),
    }
    folder: Path = tmp_path_factory.mktemp("checkpoints")
    for kind, net in parts.items():
        architecture = {"encoder": encoder.to_json(), kind: net.config.to_json()}
        card = checkpoint.Card(kind, architecture, spec, normaliser, instructions)
        eyes = KeypointEncoder(encoder)
        checkpoint.save(folder / f"{kind}.safetensors", card, {"encoder": eyes, kind: net}, Language())
    return Checkpoints(str(folder / "policy.safetensors"), str(folder / "critic.safetensors"))
