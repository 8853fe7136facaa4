"""Images, tool pose and a sentence -> where things are, and a vector for policy and critic.

One small conv net a view looks for the things the sentence names. Its heat-maps
are read by their mean (soft-argmax; spatial softmax of 1504.00702), so a 4 px
grid still locates to a fraction of a pixel. A head over both views' coordinates
and the tool pose turns pixels into positions in the base frame.

Labels of the simulator (positions, pixels, yaw, held) are only a training loss;
nothing here ever reads them, and `EncoderConfig.supervised=False` does without.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vgps_models.precision import for_inference

PROPRIO = 10
SENTENCE = 384
STRIDE = 4  # pixels a heat-map cell
YAW = 4  # sin 2y, cos 2y, sin 4y, cos 4y: an object looks the same after half or a quarter turn
# Rough size of the place where things happen, base frame [m]; only scales inputs to order one.
CENTRE, SPREAD = (0.28, 0.0, 0.08), 0.12
NEAR, FAR = 0.03, 0.15  # [m] scales at which a displacement of the tool is told


@dataclass(frozen=True)
class EncoderConfig:
    """Architecture; travels in the checkpoint."""

    cameras: tuple[str, ...] = ("front", "wrist")
    image_size: int = 128  # [px], square
    channels: tuple[int, ...] = (32, 48, 48, 64, 64)  # of the 3x3 convolutions on the heat-map grid
    context: int = 48  # channels of the half-resolution branch
    keypoints: tuple[str, ...] = ("object", "target")  # heat-maps that the sentence selects
    free: int = 16  # heat-maps that find their own use
    words: int = 64  # width of the sentence inside the encoder
    hidden: int = 256
    latent: int = 48  # free part of the feature vector
    supervised: bool = True  # whether positions, yaw and held were trained with simulator labels

    @property
    def grid(self) -> int:
        """Cells along one side of a heat-map."""
        return self.image_size // STRIDE

    @property
    def features(self) -> int:
        """Length of the feature vector."""
        return PROPRIO + 6 + 18 + YAW + 1 + len(self.cameras) * len(self.keypoints) + self.latent

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> EncoderConfig:
        lists = {k: tuple(v) for k, v in data.items() if isinstance(v, list)}
        return cls(**{**data, **lists})


@dataclass(frozen=True, eq=False)
class Percept:
    """What the encoder read out of one batch of observations. V views, P keypoints.

    logits: keypoint heat-maps, the last cell means "not in this view". (B, V, P, grid * grid + 1)
    confidence: probability of being in view. (B, V, P)
    object_position, target_position: base frame [m]. (B, 3)
    yaw: sin 2y, cos 2y, sin 4y, cos 4y of the object about the base z axis. (B, 4)
    held: logit of "the tool holds the object". (B,)
    latent: whatever else training found useful. (B, latent)
    features: all of it, scaled to order one, for policy and critic. (B, EncoderConfig.features)
    """

    logits: Tensor
    confidence: Tensor
    object_position: Tensor
    target_position: Tensor
    yaw: Tensor
    held: Tensor
    latent: Tensor
    features: Tensor


class ViewNet(nn.Module):
    """One view -> keypoint heat-maps, their coordinates, and what is seen there."""

    cells: Tensor

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        widths = (3 * STRIDE**2, *config.channels)
        last = widths[-1]
        convs = [nn.Conv2d(a, b, 3, padding=1) for a, b in pairwise(widths)]
        self.fork = len(convs) // 2  # the context branch leaves after this layer
        down = [
            nn.Conv2d(widths[self.fork], config.context, 3, stride=2, padding=1),
            nn.Conv2d(config.context, config.context, 3, padding=1),
            nn.Conv2d(config.context, config.context, 3, padding=1),
        ]
        for conv in (*convs, *down):
            nn.init.kaiming_normal_(conv.weight, nonlinearity="relu")
            nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
        self.convs, self.down = nn.ModuleList(convs), nn.ModuleList(down)
        self.up = nn.Conv2d(config.context, widths[-2], 1)
        self.film = nn.Linear(config.words, 2 * widths[-2])
        self.keys = nn.Linear(config.words, len(config.keypoints) * last)  # the sentence chooses what to look for
        self.absent = nn.Linear(config.words, len(config.keypoints))
        self.free = nn.Conv1d(last, config.free, 1)
        self.keypoints, self.last = len(config.keypoints), last
        cells = (torch.arange(config.grid) + 0.5) / config.grid * 2 - 1
        v, u = torch.meshgrid(cells, cells, indexing="ij")
        self.register_buffer("cells", torch.stack([u.flatten(), v.flatten()], -1), persistent=False)
        nn.init.zeros_(self.film.weight)
        nn.init.zeros_(self.film.bias)

    @property
    def width(self) -> int:
        """Numbers this view passes on."""
        return self.keypoints * (3 + self.last) + self.free.out_channels * 3

    def forward(self, image: Tensor, words: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """image (B, 3, s, s) in about [-1, 1], words (B, words).

        Returns logits (B, P, cells + 1), confidence (B, P) and what is passed on (B, width).
        """
        return self.search(self.ground(image), words)

    def ground(self, image: Tensor) -> Tensor:
        """What is there, whatever is looked for. image (B, 3, s, s) -> (B, C, grid, grid)."""
        x = F.pixel_unshuffle(image, STRIDE).contiguous(memory_format=torch.channels_last)
        side = x
        for i, conv in enumerate(self.convs[:-1]):
            x = F.relu(conv(x))
            if i + 1 == self.fork:
                side = x
        for conv in self.down:
            side = F.relu(conv(side))
        return x + F.interpolate(self.up(side), scale_factor=2.0, mode="nearest")

    def search(self, x: Tensor, words: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """What `ground` has found, by the things that are named; returns as `forward`."""
        scale, shift = self.film(words).to(x.dtype)[:, :, None, None].chunk(2, dim=1)
        x = F.relu(self.convs[-1](F.relu(x * (1 + scale) + shift)))
        seen = x.flatten(2).float()  # (B, C, cells): from here on a bfloat16 trunk would cost accuracy

        batch = len(seen)
        with torch.autocast(seen.device.type, enabled=False):
            keys = self.keys(words.float()).view(batch, self.keypoints, self.last)
            logits = torch.cat([keys @ seen, self.absent(words.float())[:, :, None]], dim=-1)
            free = self.free(seen)
            where = logits[..., :-1].softmax(-1)
            confidence = 1 - logits.softmax(-1)[..., -1]
            free_where = free.softmax(-1)
            told = [
                (where @ self.cells).flatten(1),
                confidence,
                (where @ seen.transpose(1, 2)).flatten(1),
                (free_where @ self.cells).flatten(1),
                free_where.amax(-1),
            ]
        return logits, confidence, torch.cat(told, dim=-1)


class KeypointEncoder(nn.Module):
    """All views, the tool pose and a sentence -> `Percept`. No layer mixes the rows of a batch."""

    listens = True  # what it tells depends on the sentence
    position_mean: Tensor
    position_std: Tensor

    def __init__(self, config: EncoderConfig) -> None:
        super().__init__()
        self.config = config
        self.words = nn.Sequential(nn.Linear(SENTENCE, config.words), nn.GELU())
        views = [ViewNet(config) for _ in config.cameras]
        self.views = nn.ModuleList(views)
        width = sum(view.width for view in views) + PROPRIO + config.words
        self.trunk = nn.Sequential(
            nn.Linear(width, config.hidden),
            nn.GELU(),
            nn.Linear(config.hidden, config.hidden),
            nn.GELU(),
        )
        self.latent = nn.Linear(config.hidden, config.latent)
        self.read = nn.Linear(config.hidden + config.latent, 6 + YAW + 1)
        # Where objects and targets are in the training scenes [m]; set from the labels.
        self.register_buffer("position_mean", torch.tensor([*CENTRE, *CENTRE]))
        self.register_buffer("position_std", torch.full((6,), SPREAD))

    def forward(self, images: Tensor, proprio: Tensor, sentence: Tensor) -> Percept:
        """images (B, V, s, s, 3) uint8 or float 0..255, proprio (B, 10), sentence (B, 384)."""
        words = self._told(sentence)
        seen = self._see(images, words)
        logits = torch.stack([s[0] for s in seen], dim=1)
        confidence = torch.stack([s[1] for s in seen], dim=1)
        body = scaled_proprio(proprio)
        hidden = self.trunk(torch.cat([*(s[2] for s in seen), body, words], dim=-1))
        latent = torch.tanh(self.latent(hidden))
        read = self.read(torch.cat([hidden, latent], dim=-1)).float()
        if not self.config.supervised:
            read = read * 0.0  # nothing taught these numbers to mean a place
        positions = read[:, :6] * self.position_std + self.position_mean
        yaw, held = read[:, 6 : 6 + YAW], read[:, -1]
        features = torch.cat(
            [
                body,
                (positions - self.position_mean) / SPREAD,
                displacements(proprio[:, :3], positions[:, :3], positions[:, 3:]),
                yaw,
                torch.sigmoid(held)[:, None],
                confidence.flatten(1),
                latent.float(),
            ],
            dim=-1,
        )
        return Percept(logits, confidence, positions[:, :3], positions[:, 3:], yaw, held, latent.float(), features)

    def encode(self, images: Tensor, proprio: Tensor, sentence: Tensor) -> Tensor:
        """The features alone (B, EncoderConfig.features); arguments as `forward`."""
        return self.forward(images, proprio, sentence).features

    def fast(self) -> KeypointEncoder:
        """A copy for inference: channels last, and bfloat16 convolutions where they are faster (1.6 times)."""
        made = KeypointEncoder(self.config)
        made.load_state_dict(self.state_dict())
        made.eval().requires_grad_(False)
        for view in made.views:
            for part in (view.convs, view.down, view.up):  # type: ignore[union-attr]
                for_inference(part.modules())  # type: ignore[operator]
        return made.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    @property
    def looks(self) -> int:
        """Numbers of `look`."""
        return sum(view.width for view in self.views)  # type: ignore[misc]

    def look(self, images: Tensor, sentence: Tensor) -> Tensor:
        """What images alone tell of the things a sentence names, for those who know nothing of the arm.

        images (B, V, s, s, 3) uint8 or float 0..255, sentence (B, 384) -> (B, looks).
        """
        return torch.cat([seen for _, _, seen in self._see(images, self._told(sentence))], dim=-1)

    def probe(self, images: Tensor, sentences: Tensor) -> Tensor:
        """`look` under each of several sentences; what they have in common is done once.

        images (B, V, s, s, 3) uint8 or float 0..255, sentences (P, 384) -> (B, P, looks).
        """
        words, seen = self._told(sentences), []
        for view, image in zip(self.views, self._pixels(images), strict=True):
            there = view.ground(image)  # type: ignore[operator]
            told = [view.search(there, one.expand(len(there), -1))[2] for one in words]  # type: ignore[operator]
            seen.append(torch.stack(told, dim=1))
        return torch.cat(seen, dim=-1)

    def _told(self, sentence: Tensor) -> Tensor:
        return self.words(sentence * SENTENCE**0.5)  # a unit vector's entries are tiny

    def _see(self, images: Tensor, words: Tensor) -> list[tuple[Tensor, Tensor, Tensor]]:
        return [view(image, words) for view, image in zip(self.views, self._pixels(images), strict=True)]

    def _pixels(self, images: Tensor) -> Tensor:
        """(B, V, s, s, 3) in 0..255 -> (V, B, 3, s, s) in about [-1, 1]."""
        dtype = self.views[0].convs[0].weight.dtype  # type: ignore[union-attr]
        return images.permute(1, 0, 4, 2, 3).to(dtype) / 127.5 - 1


def scaled_proprio(proprio: Tensor) -> Tensor:
    """`PROPRIO_NAMES` to order one. Shape (B, 10)."""
    centre = torch.tensor(CENTRE, dtype=proprio.dtype)
    return torch.cat([(proprio[:, :3] - centre) / SPREAD, proprio[:, 3:9], proprio[:, 9:] * 2 - 1], dim=-1)


def displacements(tool: Tensor, thing: Tensor, target: Tensor) -> Tensor:
    """Tool -> object, tool -> target, object -> target, told coarsely and finely. Shape (B, 18)."""
    apart = torch.cat([thing - tool, target - tool, target - thing], dim=-1)
    return torch.cat([apart / FAR, torch.tanh(apart / NEAR)], dim=-1)
