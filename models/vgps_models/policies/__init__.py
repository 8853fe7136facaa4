"""Policies: observation -> K action chunks, by five architectures behind one interface."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from vgps_models.errors import SpecError, UnknownNameError
from vgps_models.policies.cvae import CVAEConfig, CVAENet
from vgps_models.policies.ddim import DDIMConfig, DiffusionNet
from vgps_models.policies.flow import FlowConfig, VelocityNet
from vgps_models.policies.gmm import GMMConfig, MixtureNet
from vgps_models.policies.network import ChunkConfig, ChunkNet
from vgps_models.policies.tokens import TokenNet, TokensConfig

ARCHITECTURES: dict[str, tuple[type[ChunkConfig], type[ChunkNet]]] = {
    "flow": (FlowConfig, VelocityNet),
    "ddim": (DDIMConfig, DiffusionNet),
    "tokens": (TokensConfig, TokenNet),
    "cvae": (CVAEConfig, CVAENet),
    "gmm": (GMMConfig, MixtureNet),
}


def make_net(architecture: Mapping[str, Any]) -> ChunkNet:
    """The network of {"name": one of ARCHITECTURES, size: number, ...}; sizes left out are the architecture's own."""
    sizes = dict(architecture)
    name = str(sizes.pop("name", "flow"))  # the first checkpoints did not say
    if name not in ARCHITECTURES:
        raise UnknownNameError("architecture", name, ARCHITECTURES)
    config, net = ARCHITECTURES[name]
    try:
        return net(config.from_json(sizes))
    except TypeError:
        known = sorted(config.__dataclass_fields__)
        raise SpecError(f"a {name} policy has the sizes {', '.join(known)}, not {', '.join(sorted(sizes))}") from None


def describe(net: ChunkNet) -> dict[str, Any]:
    """What `make_net` needs to make this network again."""
    name = next(n for n, (_, kind) in ARCHITECTURES.items() if type(net) is kind)
    return {"name": name} | net.config.to_json()
