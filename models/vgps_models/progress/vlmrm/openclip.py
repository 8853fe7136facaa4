"""Any CLIP-like model that open_clip knows, where its weights are: each view is a look of its own."""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from vgps_models.errors import DataError, MissingDependencyError, UnknownNameError
from vgps_models.progress.estimate import Floats, Images
from vgps_models.progress.vlmrm.encoding import Fitted
from vgps_models.progress.vlmrm.prompts import GENERIC, Prompts

PROMPTS = Prompts(("the {thing} is {link} the {target}",), ("the {thing} lies beside the {target}",), GENERIC)


@dataclass(frozen=True)
class OpenCLIPConfig:
    """Weights are fetched only where a tag is named and the network is there; a file or a folder needs none."""

    model: str = "ViT-B-32"  # a name of open_clip, or local-dir:FOLDER, or hf-hub:OWNER/NAME
    pretrained: str = ""  # a tag of open_clip, or a file of weights (safetensors preferred)
    device: str = "cpu"  # as torch calls it
    precision: str = "fp32"  # as open_clip calls it
    batch: int = 16  # images that are encoded at a time


class OpenCLIP:
    """An `ImageText`. Its rewards lie close together and say more about order than about success."""

    prompts = PROMPTS
    fitted: Fitted | None = None

    def __init__(self, config: OpenCLIPConfig) -> None:
        """Raises MissingDependencyError without open_clip, DataError for weights that are not there or do not fit."""
        self.config = config
        self._net, self._picture, self._tokens = _load(config)
        self.name = f"{config.model}:{Path(config.pretrained).stem}" if config.pretrained else config.model

    def see(self, views: Mapping[str, Images]) -> Floats:
        """(V, T, D), the views in the order of their names."""
        return np.stack([self._seen(views[name]) for name in sorted(views)])

    def _seen(self, images: Images) -> Floats:
        import torch

        out, step = [], self.config.batch
        with torch.inference_mode():
            for at in range(0, len(images), step):
                pictures = torch.stack([self._picture(Image.fromarray(image)) for image in images[at : at + step]])
                out.append(_plain(self._net.encode_image(_placed(pictures, self.config), normalize=True)))
        return np.concatenate(out)

    def read(self, sentences: Sequence[str]) -> Floats:
        import torch

        with torch.inference_mode():
            tokens = self._tokens(list(sentences)).to(self.config.device)
            return _plain(self._net.encode_text(tokens, normalize=True))


def _placed(pictures: Any, config: OpenCLIPConfig) -> Any:
    import torch

    kind = {"fp16": torch.float16, "bf16": torch.bfloat16}.get(config.precision.removeprefix("pure_"), torch.float32)
    return pictures.to(config.device, kind)


def _plain(embeddings: Any) -> Floats:
    """Unit vectors, also where half precision has left them a little off."""
    found = embeddings.double().cpu().numpy()
    return found / np.linalg.norm(found, axis=-1, keepdims=True)


def _load(config: OpenCLIPConfig) -> tuple[Any, Any, Any]:
    """(net, picture -> tensor, sentences -> tokens)."""
    if importlib.util.find_spec("open_clip") is None:
        raise MissingDependencyError(
            "a CLIP-like model needs open_clip; install it with: pip install 'vgps[vlmrm]', or use our own model"
            " (--vlmrm.encoder own), which needs nothing"
        )
    try:
        import open_clip  # pyright: ignore[reportMissingImports]
    except (ImportError, RuntimeError) as error:  # a torchvision of another release than torch's
        raise MissingDependencyError(
            f"open_clip cannot be imported ({error}); it needs the torchvision that belongs to the installed torch"
        ) from error
    schema = config.model.partition(":")[0] if ":" in config.model else ""
    if not schema:
        _require_weights(open_clip, config)
    try:
        net, picture = open_clip.create_model_from_pretrained(
            config.model, config.pretrained or None, precision=config.precision, device=config.device
        )
        tokens = open_clip.get_tokenizer(config.model)
    except Exception as error:  # of many kinds: no network, a damaged file, weights of another architecture
        raise DataError(
            f"{config.model} cannot be loaded with the weights '{config.pretrained}' ({str(error)[:300]}); name a "
            "file that holds weights of this very model, or, for a tag, run once where the network is and weights "
            "are kept"
        ) from error
    return net.eval().requires_grad_(False), picture, tokens


def _require_weights(open_clip: Any, config: OpenCLIPConfig) -> None:
    if config.model not in open_clip.list_models():
        raise UnknownNameError("model of open_clip", config.model, open_clip.list_models())
    tags = open_clip.list_pretrained_tags_by_model(config.model)
    if not config.pretrained:
        raise DataError(
            f"which weights of {config.model}? name a file with --vlmrm.open-clip.pretrained FILE, or a tag of: "
            f"{', '.join(tags) or 'none is known'}"
        )
    if config.pretrained not in tags and not Path(config.pretrained).is_file():
        raise DataError(
            f"'{config.pretrained}' is neither a file nor weights that open_clip knows for {config.model}: "
            f"{', '.join(tags) or 'none'}"
        )
