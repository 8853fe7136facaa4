"""all-MiniLM-L6-v2 (a 6-layer BERT, mean pooled) in plain torch.

Only the forward pass, so that a sentence costs neither `transformers` nor
`sentence-transformers` an import: 1 s to load instead of about 10 s.
Architecture: Devlin et al. 1810.04805; pooling: Reimers & Gurevych 1908.10084.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import Tensor

MAX_TOKENS = 256


class MiniLM:
    """Sentence -> unit vector. `folder` holds tokenizer.json, config.json and model.safetensors."""

    def __init__(self, folder: Path) -> None:
        config = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        self.layers: int = config["num_hidden_layers"]
        self.heads: int = config["num_attention_heads"]
        self.eps: float = config["layer_norm_eps"]
        self.weights = load_file(folder / "model.safetensors")
        self.tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(MAX_TOKENS)

    @torch.inference_mode()
    def __call__(self, sentence: str) -> Tensor:
        """Embedding of one sentence. Shape (384,), unit length."""
        tokens = torch.tensor(self.tokenizer.encode(sentence).ids)
        x = self.weights["embeddings.word_embeddings.weight"][tokens]
        x = x + self.weights["embeddings.position_embeddings.weight"][: len(tokens)]
        x = x + self.weights["embeddings.token_type_embeddings.weight"][0]
        x = self._norm(x, "embeddings.LayerNorm")
        for layer in range(self.layers):
            x = self._block(x, f"encoder.layer.{layer}.")
        return F.normalize(x.mean(dim=0), dim=0)

    def _block(self, x: Tensor, at: str) -> Tensor:
        def split(y: Tensor) -> Tensor:  # (tokens, width) -> (heads, tokens, width / heads)
            return y.view(len(y), self.heads, -1).transpose(0, 1)

        q, k, v = (split(self._linear(x, f"{at}attention.self.{name}")) for name in ("query", "key", "value"))
        attended = F.scaled_dot_product_attention(q, k, v).transpose(0, 1).reshape(len(x), -1)
        x = self._norm(x + self._linear(attended, f"{at}attention.output.dense"), f"{at}attention.output.LayerNorm")
        wide = F.gelu(self._linear(x, f"{at}intermediate.dense"))
        return self._norm(x + self._linear(wide, f"{at}output.dense"), f"{at}output.LayerNorm")

    def _linear(self, x: Tensor, name: str) -> Tensor:
        return F.linear(x, self.weights[f"{name}.weight"], self.weights[f"{name}.bias"])

    def _norm(self, x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, x.shape[-1:], self.weights[f"{name}.weight"], self.weights[f"{name}.bias"], self.eps)
