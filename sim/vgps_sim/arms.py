"""Robot arms as MuJoCo specs, with what the rest of the house needs to know about them."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import TypeVar

import mujoco
import numpy as np

from vgps_models.errors import MissingDependencyError, UnknownNameError

F = TypeVar("F", float, np.ndarray)


@dataclass(frozen=True)
class Arm:
    """Names, limits and home of an arm. The base frame is at the origin, x forward, z up."""

    name: str = "widowx_ai"
    joints: tuple[str, ...] = tuple(f"joint_{i}" for i in range(6))
    gripper_joint: str = "left_carriage_joint"
    gripper_travel: float = 0.044  # [m] joint position at opening 1
    gripper_force: float = 20.0  # [N] each finger
    tool_site: str = "ee_site"
    wrist_camera: str = "cam"
    pads: tuple[str, str] = ("left_pad", "right_pad")
    home: tuple[float, ...] = (0.0, 1.0, 0.9, -1.2, 0.0, 0.0)  # [rad] only where the IK for `home_position` starts
    home_position: tuple[float, float, float] = (0.22, 0.0, 0.14)  # [m] tool, pointing down
    velocity_limits: tuple[float, ...] = (3.0, 3.0, 3.0, 4.5, 4.5, 6.0)  # [rad/s]
    workspace_low: tuple[float, float, float] = (0.12, -0.26, 0.003)  # [m]
    workspace_high: tuple[float, float, float] = (0.46, 0.26, 0.24)  # [m]

    def gap(self, opening: F) -> F:
        """Between the fingers [m] when the gripper is open so far, 0..1."""
        return 2 * opening * self.gripper_travel


ARMS: dict[str, Arm] = {"widowx_ai": Arm()}


def get_arm(name: str) -> Arm:
    """The arm called `name`; the error lists the valid ones."""
    try:
        return ARMS[name]
    except KeyError:
        raise UnknownNameError("arm", name, ARMS) from None


def arm_spec(arm: Arm) -> mujoco.MjSpec:
    """The vendor's WidowX AI follower with flat finger pads.

    The vendor's finger collision boxes are tilted and touch an object along an
    edge; one flat pad a finger holds everything that was tried.
    """
    spec = mujoco.MjSpec.from_file(str(_assets() / "wxai_follower.xml"))
    for side, inward in (("left", -1.0), ("right", 1.0)):
        carriage = spec.body(f"carriage_{side}")
        for geom in list(carriage.geoms):
            if geom.classname.name == "collision":
                spec.delete(geom)
        thickness, depth, width = 0.004, 0.02, 0.009  # half sizes [m]
        carriage.add_geom(
            name=f"{side}_pad",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=[depth, thickness, width],
            pos=[0.0695 - depth, inward * (0.023 - thickness), 0.0],
            friction=[1.0, 0.02, 0.001],
            condim=4,
            rgba=[0.16, 0.16, 0.17, 1.0],
            group=3,
            mass=0,
        )
    gripper = spec.actuator("left_gripper")
    gripper.forcerange = [-arm.gripper_force, arm.gripper_force]
    # A link rests against its neighbours by construction; only the outside world should stop it.
    for geom in spec.geoms:
        if geom.classname.name == "collision" or geom.name in arm.pads:
            geom.contype, geom.conaffinity = 1, 2
    return spec


def tool_down(yaw: float) -> np.ndarray:
    """Rotation of a tool that points down, its fingers closing along `yaw` [rad]. Shape (3, 3).

    Columns are the tool's axes in the base frame: x (approach) down, y (closing
    direction) at `yaw` from the base's y axis.
    """
    c, s = np.cos(yaw), np.sin(yaw)
    x = np.array([0.0, 0.0, -1.0])
    y = np.array([-s, c, 0.0])
    return np.stack([x, y, np.cross(x, y)], axis=1)


def _assets() -> Path:
    try:
        root = resources.files("trossen_arm_sim")
    except ModuleNotFoundError:
        raise MissingDependencyError(
            f"the WidowX AI model is missing; install it: {sys.executable} -m pip install trossen-arm-sim"
        ) from None
    return Path(str(root)) / "assets"
