"""Which joint of an arm moves as which joint of a person: symbolic, declared for every arm in `maps/*.yaml`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from vgps_models.errors import SpecError, UnknownNameError
from vgps_models.spaces import Array
from vgps_sim.retarget.human import ANGLES

FOLDER = Path(__file__).parent / "maps"
RESTING = 0.05  # [rad] standard deviation below which a joint only trembles


@dataclass(frozen=True)
class Follows:
    """A joint moves by `gain` for every radian of the person's angle `angle`. reason: why these two."""

    angle: str
    gain: float
    reason: str


@dataclass(frozen=True)
class JointMap:
    """joints: of an arm, in order. site: its tool. Where the person is `neutral` (7,) [rad] it is at `home` (n,)."""

    arm: str
    joints: tuple[str, ...]
    site: str
    home: tuple[float, ...]
    neutral: tuple[float, ...]
    follows: tuple[Follows, ...]

    def __call__(self, angles: Array) -> Array:
        """Joints (T, n) [rad] that move as the person's `ANGLES` (T, 7) do. Limits are not heeded."""
        moved = angles - np.array(self.neutral)
        gain = np.zeros((len(ANGLES), len(self.joints)))
        for joint, follows in enumerate(self.follows):
            gain[ANGLES.index(follows.angle), joint] = follows.gain
        return np.array(self.home) + moved @ gain

    def likeness(self, q: Array, angles: Array) -> float:
        """Mean correlation of the joints q (T, n) with what they follow; who hardly moves does not count."""
        found = []
        for joint, follows in enumerate(self.follows):
            one, two = q[:, joint], np.sign(follows.gain) * angles[:, ANGLES.index(follows.angle)]
            if min(one.std(), two.std()) > RESTING:
                found.append(float(np.corrcoef(one, two)[0, 1]))
        return float(np.mean(found)) if found else float("nan")

    @classmethod
    def of(cls, data: Mapping[str, Any], source: str) -> JointMap:
        """From what a YAML file holds. Raises SpecError that names the file and what is wrong with it."""
        try:
            joints = tuple(data["joints"])
            follows = tuple(
                Follows(data["map"][j]["from"], float(data["map"][j]["gain"]), data["map"][j]["reason"]) for j in joints
            )
            made = cls(
                data["arm"], joints, data["site"], tuple(np.radians(data["home_deg"]).tolist()),
                tuple(np.radians([data["neutral_deg"][name] for name in ANGLES]).tolist()), follows,
            )  # fmt: skip
        except (KeyError, TypeError, ValueError) as error:
            raise SpecError(
                f"{source}: {type(error).__name__}: {error}; see maps/widowx_ai.yaml for the form"
            ) from error
        unknown = sorted({f.angle for f in follows} - set(ANGLES))
        if unknown or len(made.home) != len(joints) or set(data["map"]) != set(joints):
            raise SpecError(
                f"{source}: joints {list(joints)} need a home of {len(joints)} angles and a line each in `map`, "
                f"from one of {', '.join(ANGLES)}" + (f"; not from {', '.join(unknown)}" if unknown else "")
            )
        return made


def joint_map(arm: str, file: Path | None = None) -> JointMap:
    """The map of an arm, or the one in a file of the user's."""
    known = sorted(path.stem for path in FOLDER.glob("*.yaml"))
    if file is None and arm not in known:
        raise UnknownNameError("arm", arm, known)
    path = file or FOLDER / f"{arm}.yaml"
    try:
        data = yaml.safe_load(path.read_text(encoding="utf-8-sig"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SpecError(f"{path} cannot be read as a map of joints: {error}") from error
    return JointMap.of(data, str(path))
