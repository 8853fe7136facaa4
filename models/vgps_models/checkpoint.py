"""Checkpoints: weights as safetensors, everything else as a JSON card beside them. Never pickle.

`name.safetensors` holds the tensors, `name.json` what they mean: kind,
architecture, action spec, normaliser, cameras, sentences, data hash, revision,
command, metrics, and the sha256 of the weights, so that a truncated or swapped
file is refused by name of the field that does not fit. Every policy and critic
carries its own encoder.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from functools import wraps
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from vgps_models.checkpoint_files import SHIPPED, CheckpointError, card_of, find, without_card
from vgps_models.critics import resnet
from vgps_models.critics.network import Critic, CriticConfig, QEnsemble
from vgps_models.errors import SpecError, UnknownNameError
from vgps_models.files import not_the_file, write_whole, wrong_weights
from vgps_models.icvf.frames import FrameEncoder, FrameValues
from vgps_models.icvf.network import MultilinearConfig, MultilinearValue
from vgps_models.perception import views
from vgps_models.perception.encoder import EncoderConfig, KeypointEncoder
from vgps_models.perception.language import Language
from vgps_models.perception.runtime import Encoder, Eyes, Perception, weights_sha256
from vgps_models.policies import make_net
from vgps_models.policies.chunk import ChunkPolicy
from vgps_models.progress.learned import Learned, ProgressConfig, ProgressNet
from vgps_models.progress.vlmrm.encoding import Fitted
from vgps_models.progress.vlmrm.network import ImageTextConfig, ImageTextNet
from vgps_models.progress.vlmrm.own import OwnModel
from vgps_models.spaces import ActionSpec, Normaliser

FORMAT = "vgps-checkpoint-1"
M = TypeVar("M", bound=nn.Module)
E = TypeVar("E", bound=Eyes)
P = ParamSpec("P")
R = TypeVar("R")
# What reading a card raises that lacks something, or has it of another type or size.
UNFIT = (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError)
SENTENCES = "sentences"  # the tensor with the embeddings of `Card.instructions`


@dataclass(frozen=True)
class Card:
    """What a checkpoint says about itself."""

    kind: str  # "encoder", "policy", "critic", "progress", "imagetext" or "points"
    architecture: Mapping[str, Any]  # part -> its config
    spec: ActionSpec | None = None  # none for an encoder, which knows no actions
    normaliser: Normaliser | None = None
    instructions: tuple[str, ...] = ()  # sentences whose embeddings are inside
    data_sha256: str = ""
    git: str = ""
    command: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)  # of the training
    metrics: Mapping[str, float] = field(default_factory=dict)
    encoder_sha256: str = ""
    weights_sha256: str = ""
    format: str = FORMAT

    def to_json(self) -> dict[str, Any]:
        out = {f.name: getattr(self, f.name) for f in fields(self)}
        out["spec"] = self.spec and self.spec.to_json()
        out["normaliser"] = self.normaliser and self.normaliser.to_json()
        out["instructions"] = list(self.instructions)
        encoder = self.architecture["encoder"]
        out["cameras"] = list(encoder.get("cameras", [encoder["camera"]] if "camera" in encoder else []))
        return out

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Card:
        known = {f.name for f in fields(cls)}
        values = {k: v for k, v in data.items() if k in known}
        values["spec"] = values.get("spec") and ActionSpec.from_json(values["spec"])
        values["normaliser"] = values.get("normaliser") and Normaliser.from_json(values["normaliser"])
        values["instructions"] = tuple(values.get("instructions", ()))
        return cls(**values)


def save(path: Path, card: Card, modules: Mapping[str, nn.Module], language: Language) -> Card:
    """Write both files, each whole or not at all; returns the card with its hashes."""
    tensors: dict[str, Tensor] = {SENTENCES: torch.from_numpy(language.table(card.instructions))}
    for part, module in modules.items():
        tensors |= {f"{part}.{name}": t.detach().contiguous() for name, t in module.state_dict().items()}
    weights = save_tensors(tensors)
    card = replace(
        card,
        weights_sha256=hashlib.sha256(weights).hexdigest(),
        encoder_sha256=weights_sha256(modules["encoder"]),
    )
    write_whole(path, weights)
    write_whole(path.with_suffix(".json"), (json.dumps(card.to_json(), indent=1) + "\n").encode())
    return card


def shipped(kind: str = "") -> list[str]:
    """Names of the checkpoints that came with this installation, of one kind or of all."""
    names = sorted(p.stem for p in SHIPPED.glob("*.safetensors"))
    return [name for name in names if not kind or read_card(SHIPPED / name).kind == kind]


def read_card(name: str | Path) -> Card:
    """The card alone: cheap, and needs no weights."""
    weights = find(name)
    path = card_of(weights)
    try:
        if (other := not_the_file(path)) is not None:
            raise CheckpointError(path, "card", other)
        data = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise CheckpointError(path, "card", f"is missing; {without_card(weights)}") from None
    except OSError as error:
        raise CheckpointError(path, "card", f"cannot be read ({error.strerror or error})") from None
    except (ValueError, RecursionError) as error:
        raise CheckpointError(path, "card", f"is not JSON ({error}); copy or train it again") from None
    found = data.get("format") if isinstance(data, dict) else None
    if found != FORMAT:
        newer = isinstance(found, str) and found.startswith(FORMAT.rstrip("0123456789"))
        advice = "; it was made by another version of vgps: update vgps, or train it again" if newer else ""
        raise CheckpointError(path, "format", f"is {found!r}; this version reads {FORMAT!r}{advice}")
    try:
        return Card.from_json(data)
    except UNFIT as error:
        raise CheckpointError(path, "card", f"does not hold what it must ({error})") from None


def verify(name: str | Path, kind: str) -> Card:
    """The card of a checkpoint that is whole and of this kind. What commands ask before they start anything.

    Raises CheckpointError and UnknownNameError, as loading it would.
    """
    return _whole(name, kind)[0]


def read(name: str | Path, kind: str) -> tuple[Card, dict[str, Tensor]]:
    """Card and tensors, refused unless they are of this kind and whole."""
    card, weights = _whole(name, kind)
    try:
        return card, load_tensors(weights)
    except SafetensorError as error:
        raise CheckpointError(name, "weights", f"cannot be read ({error})") from None


def _whole(name: str | Path, kind: str) -> tuple[Card, bytes]:
    path, card = find(name), read_card(name)
    if card.kind != kind:
        others = ", ".join(shipped(kind))
        raise CheckpointError(
            path, "kind", f"is '{card.kind}', not '{kind}'" + (f"; shipped of that kind: {others}" if others else "")
        )
    try:
        if (wrong := wrong_weights(path)) is not None:
            raise CheckpointError(path, "weights", f"the file {wrong}")
        weights = path.read_bytes()
    except OSError as error:
        raise CheckpointError(path, "weights", f"cannot be read ({error.strerror or error})") from None
    if (found := hashlib.sha256(weights).hexdigest()) != card.weights_sha256:
        raise CheckpointError(
            path, "weights", f"their sha256 {found[:12]}.. is not the card's {str(card.weights_sha256)[:12]}..; the "
            f"file ({len(weights)} bytes) is damaged, or the card {card_of(path).name} is of another checkpoint"
        )  # fmt: skip
    return card, weights


def refusing(load: Callable[Concatenate[str | Path, P], R]) -> Callable[Concatenate[str | Path, P], R]:
    """A loader that refuses a card which does not describe its weights by CheckpointError."""

    @wraps(load)
    def refused(name: str | Path, *args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return load(name, *args, **kwargs)
        except UNFIT as error:
            problem = f"does not describe the weights ({type(error).__name__}: {error}); train the checkpoint again"
            raise CheckpointError(name, "card", problem) from error

    return refused


@refusing
def load_encoder(name: str | Path) -> tuple[Card, Encoder]:
    """A trained encoder, for training on top of it."""
    card, tensors = read(name, "encoder")
    return card, module(name, make_encoder(card.architecture["encoder"]), tensors, "encoder")


def make_encoder(architecture: Mapping[str, Any]) -> Encoder:
    """An untrained encoder from what a card says of it; not the published ResNet, which sees for its critic alone."""
    name = architecture.get("name")
    if name is None:
        return KeypointEncoder(EncoderConfig.from_json(dict(architecture)))
    if name != views.NAME:
        raise SpecError(
            f"the checkpoint sees with a {name}, which no other checkpoint can be trained upon or start from"
        )
    return views.ViewsEncoder(views.ViewsConfig.from_json(architecture))


@refusing
def load_policy(name: str | Path, *, spec: ActionSpec | None = None, threads: int = 1) -> ChunkPolicy:
    """A policy ready to run.

    spec: refuse a policy for another arm or action. threads: of torch, for the whole process.
    """
    torch.set_num_threads(threads)
    card, tensors = read(name, "policy")
    action, normaliser = _action(name, card, spec)
    try:
        net = make_net(card.architecture["policy"])
    except (SpecError, UnknownNameError) as error:
        raise CheckpointError(name, "architecture.policy", f"does not fit the weights: {error}") from None
    return ChunkPolicy(_perception(name, card, tensors), module(name, net, tensors, "policy"), action, normaliser)


@refusing
def load_critic(name: str | Path, *, spec: ActionSpec | None = None, threads: int = 1) -> Critic:
    """A critic ready to run; arguments as `load_policy`."""
    torch.set_num_threads(threads)
    card, tensors = read(name, "critic")
    action, normaliser = _action(name, card, spec)
    net = QEnsemble(CriticConfig.from_json(dict(card.architecture["critic"])))
    sees_pixels = card.architecture["encoder"].get("name") == resnet.NAME
    eyes = _pixel_perception(name, card, tensors) if sees_pixels else _perception(name, card, tensors)
    return Critic(eyes, module(name, net, tensors, "critic"), action, normaliser)


@refusing
def load_progress(name: str | Path, *, threads: int = 1) -> Learned:
    """A learned estimator of progress ready to run. threads: of torch, for the whole process."""
    torch.set_num_threads(threads)
    card, tensors = read(name, "progress")
    net = ProgressNet(ProgressConfig.from_json(card.architecture["progress"]))
    return Learned(
        _perception(name, card, tensors), module(name, net, tensors, "progress"),
        threshold=card.metrics.get("threshold", 0.5), name=find(name).stem,
    )  # fmt: skip


@refusing
def load_video(name: str | Path) -> FrameValues:
    """The values of frames that `vgps train video` learned."""
    card, tensors = read(name, "encoder")
    if "icvf" not in card.architecture:
        raise CheckpointError(name, "architecture", "has no values of frames; it was not made by `vgps train video`")
    encoder: Any = module(name, make_encoder(card.architecture["encoder"]), tensors, "encoder")
    config = MultilinearConfig.from_json(card.architecture["icvf"])
    values = FrameValues(MultilinearValue(FrameEncoder(encoder.image), config))
    return module(name, values, tensors, "icvf").eval()


@refusing
def load_imagetext(name: str | Path, *, threads: int = 1) -> OwnModel:
    """An image-text model ready to run. threads: of torch, for the whole process."""
    torch.set_num_threads(threads)
    card, tensors = read(name, "imagetext")
    net = ImageTextNet(ImageTextConfig.from_json(card.architecture["imagetext"]))
    try:
        fitted = Fitted(card.settings["alpha"], *(card.metrics[key] for key in ("low", "high", "threshold")))
    except KeyError as error:
        raise CheckpointError(name, "metrics", f"lacks {error}; train it again with `vgps train imagetext`") from None
    return OwnModel(_perception(name, card, tensors), module(name, net, tensors, "imagetext"), find(name).stem, fitted)


@refusing
def load_perception(name: str | Path, kind: str = "encoder") -> tuple[Card, Perception]:
    """Only the eyes of a checkpoint, ready to run."""
    card, tensors = read(name, kind)
    return card, _perception(name, card, tensors)


def _action(name: str | Path, card: Card, spec: ActionSpec | None) -> tuple[ActionSpec, Normaliser]:
    if card.spec is None or card.normaliser is None:
        raise CheckpointError(name, "spec", "is missing; without it the actions mean nothing")
    if spec is not None:
        spec.require_equal(card.spec, mine="this arm", theirs=f"checkpoint {name}")
    return card.spec, card.normaliser


def _perception(name: str | Path, card: Card, tensors: Mapping[str, Tensor]) -> Perception:
    encoder = module(name, make_encoder(card.architecture["encoder"]), tensors, "encoder")
    return _checked(name, card, Perception(encoder, _language(card, tensors)))


def _pixel_perception(name: str | Path, card: Card, tensors: Mapping[str, Tensor]) -> resnet.PixelPerception:
    config = resnet.ResNetConfig.from_json(dict(card.architecture["encoder"]))
    encoder = module(name, resnet.ResNetEncoder(config), tensors, "encoder")
    return _checked(name, card, resnet.PixelPerception(encoder, _language(card, tensors)))


def _language(card: Card, tensors: Mapping[str, Tensor]) -> Language:
    return Language(dict(zip(card.instructions, tensors[SENTENCES].numpy(), strict=True)))


def _checked(name: str | Path, card: Card, eyes: E) -> E:
    if eyes.sha256 != card.encoder_sha256:
        raise CheckpointError(name, "encoder_sha256", "does not fit the weights; train the checkpoint again")
    return eyes


def module(name: str | Path, empty: M, tensors: Mapping[str, Tensor], part: str) -> M:
    """`empty` with the weights of one part; refused where they do not fit."""
    mine = {k.removeprefix(f"{part}."): v for k, v in tensors.items() if k.startswith(f"{part}.")}
    try:
        empty.load_state_dict(mine)
    except RuntimeError as error:
        raise CheckpointError(name, f"architecture.{part}", f"does not fit the weights: {error}") from None
    return empty
