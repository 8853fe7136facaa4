"""Ask a vision-language model in this process: one forward pass, and what it says of the next token."""

from __future__ import annotations

import inspect
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from PIL import Image

from vgps_models.errors import DataError, MissingDependencyError
from vgps_models.progress.estimate import Images
from vgps_models.progress.topreward.score import Parts, Score, spelt


@dataclass(frozen=True)
class LocalConfig:
    """An instruct model that transformers knows by itself; code that comes with weights is never run."""

    model: str = ""  # a folder, or a name on the Hugging Face hub
    local_files_only: bool = False  # never ask the hub, for a name either
    device: str = "cpu"  # as torch calls it
    dtype: Literal["auto", "float32", "bfloat16", "float16"] = "auto"  # auto: as the weights were saved


class LocalScorer:
    """The question goes through the model's own chat template, which alone knows where its pictures go; the paper's
    main experiments ask without one."""

    def __init__(self, config: LocalConfig) -> None:
        """Raises MissingDependencyError without transformers, DataError for a model that cannot be used."""
        if not config.model:
            raise DataError("which model? name a folder or a model of the Hugging Face hub")
        folder = Path(config.model)
        self.model = folder.resolve().name if folder.is_dir() else config.model
        self._processor, self._net = _load(config)
        if not self._processor.chat_template:
            raise DataError(f"{config.model} has no chat template, so it cannot be asked; take an instruct model")
        # Of models that may think first, the next token is to be the answer.
        self._template = {"enable_thinking": False} if "enable_thinking" in str(self._processor.chat_template) else {}
        self._ids = {word: _spellings(self._processor.tokenizer, word) for word in (True, False)}
        if missing := [str(word) for word, ids in self._ids.items() if not ids]:
            raise DataError(f"no single token of {config.model} says {' or '.join(missing)}; take another model")
        # Most models can leave out the logits of all other positions, which would take gigabytes.
        spares = "logits_to_keep" in inspect.signature(self._net.forward).parameters
        self._options = {"use_cache": False} | ({"logits_to_keep": 1} if spares else {})

    async def __aenter__(self) -> LocalScorer:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def picture(self, image: Images) -> Image.Image:
        return Image.fromarray(image)

    async def score(self, parts: Parts) -> Score:
        import torch

        content = [{"type": "text", "text": p} if isinstance(p, str) else {"type": "image", "image": p} for p in parts]
        inputs = self._processor.apply_chat_template(
            [{"role": "user", "content": content}],
            tokenize=True, add_generation_prompt=True, return_dict=True, return_tensors="pt", **self._template,
        ).to(self._net.device, self._net.dtype)  # fmt: skip
        with torch.inference_mode():
            logits = self._net(**inputs, **self._options).logits[0, -1]
        said = logits.float().log_softmax(-1)
        log_true, log_false = (float(said[self._ids[word]].logsumexp(0)) for word in (True, False))
        if not (math.isfinite(log_true) and math.isfinite(log_false)):
            return Score(failure=f"the model's logits are not finite in {self._net.dtype}; set dtype to float32")
        likely, ids = said.topk(min(4, len(said)))
        words = [self._processor.tokenizer.decode([i]) for i in ids.tolist()]
        return Score(log_true, log_false, seen=dict(zip(words, likely.exp().tolist(), strict=True)))


def _load(config: LocalConfig) -> tuple[Any, Any]:
    """(processor, model)."""
    try:
        import transformers
    except ImportError as error:
        raise MissingDependencyError(
            "a vision-language model in this process needs transformers; install it with: pip install 'vgps[topreward]'"
        ) from error
    network: Any = transformers.AutoModelForImageTextToText  # its stubs mistake what from_pretrained is
    shared = {"trust_remote_code": False, "local_files_only": config.local_files_only}
    try:
        processor = transformers.AutoProcessor.from_pretrained(config.model, **shared)
        net = network.from_pretrained(config.model, dtype=config.dtype, use_safetensors=True, **shared)
    except ImportError as error:  # some processors need more than transformers itself
        raise MissingDependencyError(
            f"{config.model} needs more: {error}; try: pip install 'vgps[topreward]'"
        ) from error
    except (OSError, ValueError, KeyError) as error:
        raise DataError(
            f"{config.model} cannot be loaded ({str(error)[:300]}); give a folder or hub name of an image-text model "
            "that transformers knows, with safetensors weights"
        ) from error
    return processor, net.to(config.device).eval().requires_grad_(False)


def _spellings(tokenizer: Any, word: bool) -> list[int]:
    """Ids of all tokens that say it."""
    likely = {
        t: i for t, i in tokenizer.get_vocab().items() if str(word).lower() in t.lower()
    }  # few are worth decoding
    return sorted(i for t, i in likely.items() if spelt(tokenizer.convert_tokens_to_string([t])) is word)
