"""A learned reward of every frame of a data set, in a parquet file beside it, for `vgps train critic --rewards`."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from vgps_models.data.store import EpisodeStore
from vgps_models.errors import DataError
from vgps_models.files import require_outside, write_whole

OWN = b"vgps"  # key of the schema's metadata
COLUMN = "reward"
Floats = NDArray[np.float32]


def write_rewards(out: Path, store: EpisodeStore, rewards: Floats, told: Mapping[str, Any]) -> Path:
    """rewards (N,) in [-1, 0], one a frame. told: what they are of, for the file's metadata."""
    require_outside(out)
    if rewards.shape != (int(store.lengths.sum()),):
        raise DataError(f"{rewards.shape} rewards for the {int(store.lengths.sum())} frames of {store.root}")
    table = pa.table({"index": pa.array(np.arange(len(rewards)), pa.int64()), COLUMN: pa.array(rewards, pa.float32())})
    head = json.dumps({**told, "data_sha256": store.data_hash()})
    buffer = io.BytesIO()
    pq.write_table(table.replace_schema_metadata({OWN: head}), buffer)
    write_whole(out, buffer.getvalue())
    return out


def holds_rewards(path: Path) -> bool:
    """Whether a parquet file is one of rewards; one that cannot be read is not."""
    try:
        return COLUMN in pq.read_schema(path).names
    except (OSError, pa.ArrowException):
        return False


def relabelled(path: Path, data_sha256: str, frames: int) -> Floats:
    """The rewards (N,) of the frames of this very data set; DataError says what does not fit."""
    make = "make it with: vgps reward relabel"
    try:
        table = pq.read_table(path)
        told = json.loads((table.schema.metadata or {})[OWN])
        rewards = table.column(COLUMN).to_numpy().astype(np.float32)
    except FileNotFoundError:
        raise DataError(f"{path} is missing; {make}") from None
    except (OSError, pa.ArrowException, KeyError, ValueError) as error:
        raise DataError(f"{path} holds no rewards ({error}); {make}") from None
    if told["data_sha256"] != data_sha256 or len(rewards) != frames:
        raise DataError(f"{path} is of other data than this; {make}")
    if not np.isfinite(rewards).all() or rewards.min() < -1 or rewards.max() > 0:
        raise DataError(f"{path}: rewards must be finite and within [-1, 0]; {make}")
    return rewards
