"""The one map of topics <-> data-set keys <-> tensors, read from contract.yaml. Knows no ROS and no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from vgps_models.errors import DataError, SpecError
from vgps_models.resources import launch_file


@dataclass(frozen=True)
class Feature:
    """One line of the map.

    topic, type: where it is on the graph. key: where it is in a data set.
    shape, dtype: of the tensor; dtype "string" for words.
    """

    topic: str
    type: str
    key: str
    shape: tuple[int, ...]
    dtype: str

    def check(self, value: np.ndarray) -> np.ndarray:
        """`value`, or an error that says what the contract asks for."""
        if value.shape != self.shape or value.dtype != np.dtype(self.dtype):
            raise SpecError(
                f"{self.topic} gave {value.dtype}{value.shape}; the contract asks for {self.dtype}{self.shape}"
            )
        return value


@dataclass(frozen=True)
class Contract:
    """images: by camera name. joints: in the order of q. gripper_travel: joint position at opening 1 [m]."""

    images: Mapping[str, Feature]
    state: Feature
    task: Feature
    action: Feature
    joints: tuple[str, ...]
    gripper_joint: str
    gripper_travel: float

    @property
    def features(self) -> tuple[Feature, ...]:
        return (*self.images.values(), self.state, self.task, self.action)

    @classmethod
    def from_yaml(cls, text: str, *, source: str = "contract") -> Contract:
        """Parse; what is missing or unknown is named."""
        try:
            data = yaml.safe_load(text)
            joints = data["joints"]
            return cls(
                images={name: _feature(entry) for name, entry in data["images"].items()},
                state=_feature(data["state"]),
                task=_feature(data["task"]),
                action=_feature(data["action"]),
                joints=tuple(joints["names"]),
                gripper_joint=joints["gripper"],
                gripper_travel=float(joints["gripper_travel"]),
            )
        except yaml.YAMLError as error:
            raise DataError(f"{source} is no YAML: {error}") from error
        except KeyError as error:
            raise DataError(f"{source} lacks {error}") from error
        except (TypeError, AttributeError, ValueError) as error:
            raise DataError(f"{source} is not laid out as a contract: {error}") from error

    @classmethod
    def load(cls, path: Path | None = None) -> Contract:
        """Read `path`, or the contract that came with this package."""
        path = path or launch_file("config", "contract.yaml")
        return cls.from_yaml(path.read_text(), source=str(path))


def _feature(entry: Mapping[str, Any]) -> Feature:
    if unknown := set(entry) - {"topic", "type", "key", "shape", "dtype"}:
        raise ValueError(f"unknown entries {sorted(unknown)}")
    return Feature(entry["topic"], entry["type"], entry["key"], tuple(entry["shape"]), entry["dtype"])
