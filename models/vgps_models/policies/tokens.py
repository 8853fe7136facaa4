"""Autoregressive action tokens (RT-1 2212.06817, RT-2 2307.15818, OpenVLA 2406.09246), on a GRU (1406.1078).

Every number x_i of a normalised chunk falls into one of `bins` equal bins of [-1, 1], numbers outside into the end
bins, and p(chunk | s) = prod_i p(token_i | token_<i, s), learned by cross-entropy. A token is drawn by the inverse CDF
of u = Phi(noise_i), so a chunk's noise alone decides it.

128 bins are 0.47 mm or 4 mrad wide: half of that is lost in rounding, a tenth of what perception loses. They must not
be coarser, because most rotations are exactly 0, and the same rounding error of every step adds up to a tilt.

One token a number and not one a control step: within a step dx, dy, dz and the gripper depend on each other, which a
product of seven distributions cannot tell. The GRU's state is all that is carried from token to token, so all
K chunks of all numbers cost 28 small products. A gripper number is open or closed: only the end bins can be drawn.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vgps_models.policies.network import ChunkConfig, ChunkNet, gripper_numbers, inverse_cdf


@dataclass(frozen=True)
class TokensConfig(ChunkConfig):
    """Architecture; travels in the checkpoint."""

    bins: int = 128
    state: int = 128  # width of the GRU
    temperature: float = 1.0  # of sampling: below 1 likely tokens become likelier


def tokenise(chunks: Tensor, bins: int) -> Tensor:
    """Numbers -> indices of their bins, 0 .. bins - 1. Any shape."""
    return ((chunks + 1) / 2 * bins).floor().long().clamp(0, bins - 1)


def centre(tokens: Tensor, bins: int) -> Tensor:
    """Indices of bins -> the numbers in their middle. Any shape."""
    return (tokens + 0.5) / bins * 2 - 1


class TokenNet(ChunkNet):
    """p(token_i | token_<i, features, sentence)."""

    config: TokensConfig
    impossible: Tensor

    def __init__(self, config: TokensConfig) -> None:
        super().__init__(config)
        chunk, bins, state = config.chunk, config.bins, config.state
        self.start = nn.Linear(config.width, state)  # the condition is the GRU's first state
        self.told = nn.Linear(config.width, state)  # and is read again at every token
        self.embedding = nn.Parameter(torch.randn(chunk * bins, state) * state**-0.5)  # a row for every number and bin
        self.first = nn.Parameter(torch.zeros(state))  # stands for "no token yet"
        self.gru = nn.GRU(state, state, batch_first=True)
        self.hidden = nn.Linear(state, state)
        self.head = nn.Parameter(torch.randn(chunk, state, bins) * state**-0.5)
        self.bias = nn.Parameter(torch.zeros(chunk, 1, bins))
        middle = (torch.arange(bins) > 0) & (torch.arange(bins) < bins - 1)
        self.register_buffer("impossible", gripper_numbers(chunk)[:, None, None] & middle, persistent=False)

    def read(self, output: Tensor, told: Tensor, numbers: slice) -> Tensor:
        """The GRU's output (N, T, state) at T numbers of the chunk -> log p(token) (N, T, bins), temperature 1."""
        hidden = F.silu(self.hidden(output) + told[:, None]).transpose(0, 1)
        logits = torch.baddbmm(self.bias[numbers], hidden, self.head[numbers]).float()
        return logits.masked_fill(self.impossible[numbers], -torch.inf).log_softmax(-1).transpose(0, 1)

    def log_probs(self, tokens: Tensor, context: Tensor) -> Tensor:
        """Teacher-forced: tokens (N, chunk), context (N, width) -> log p of every bin (N, chunk, bins)."""
        known = F.embedding(tokens[:, :-1] + self.offsets[:-1], self.embedding)
        inputs = torch.cat([self.first.expand(len(tokens), 1, -1), known], dim=1)
        output, _ = self.gru(inputs, self.start(context).tanh()[None])
        return self.read(output, self.told(context), slice(None))

    @property
    def offsets(self) -> Tensor:
        """Where the rows of each number begin in the embedding. Shape (chunk,)."""
        return torch.arange(self.config.chunk) * self.config.bins

    def loss(self, chunk: Tensor, features: Tensor, sentence: Tensor, generator: torch.Generator) -> Tensor:
        """Cross-entropy of normalised chunks (B, chunk), per token."""
        tokens = tokenise(chunk, self.config.bins)
        return F.nll_loss(self.log_probs(tokens, self.context(features, sentence)).flatten(0, 1), tokens.flatten())

    @torch.inference_mode()
    def draw(self, noise: Tensor, features: Tensor, sentence: Tensor) -> tuple[Tensor, Tensor]:
        """Token after token for all chunks of all rows at once. Numbers are the middles of their bins."""
        context = self.context(features, sentence).repeat_interleave(noise.shape[1], dim=0)
        told, state = self.told(context), self.start(context).tanh()[None]
        given = self.first.expand(len(context), -1)
        tokens, log_prob = [], torch.zeros(len(context))
        for i, number in enumerate(noise.flatten(0, 1).T):
            output, state = self.gru(given[:, None], state)
            log_p = (self.read(output, told, slice(i, i + 1))[:, 0] / self.config.temperature).log_softmax(-1)
            token = inverse_cdf(number, log_p.exp())
            log_prob = log_prob + log_p.gather(-1, token[:, None])[:, 0]
            given = self.embedding[token + i * self.config.bins]
            tokens.append(token)
        chunks = centre(torch.stack(tokens, dim=-1), self.config.bins)
        return chunks.unflatten(0, noise.shape[:2]), log_prob.unflatten(0, noise.shape[:2])
