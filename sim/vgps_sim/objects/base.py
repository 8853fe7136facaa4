"""What a thing on the table is to those who plan with it, and how bodies are made."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import mujoco
import numpy as np

BOX = mujoco.mjtGeom.mjGEOM_BOX
CAPSULE = mujoco.mjtGeom.mjGEOM_CAPSULE
CYLINDER = mujoco.mjtGeom.mjGEOM_CYLINDER
ELLIPSOID = mujoco.mjtGeom.mjGEOM_ELLIPSOID
SPHERE = mujoco.mjtGeom.mjGEOM_SPHERE

SOLID = {"contype": 2, "conaffinity": 3}
LOOKS_ONLY = {"contype": 0, "conaffinity": 0, "mass": 0.0}
ALONG_X = (np.sqrt(0.5), 0.0, np.sqrt(0.5), 0.0)  # turns a capsule's z axis to x


@dataclass(frozen=True)
class Thing:
    """An object's name and measures. Body frame: z up at rest, x along the long side."""

    name: str
    add: Callable[[mujoco.MjSpec, str], None]
    radius: float  # [m] footprint kept free of other things when it is laid out
    rest_height: float  # [m] of the frame when it lies on the table
    grasp_height: float  # [m] of the fingertips above the table when they close on it
    symmetry: int  # turns of the footprint that look the same: 2 long things, 4 cubes, 0 round
    movable: bool = True
    top: float = 0.0  # [m] height of the surface on which things are put
    rim: float = 0.0  # [m] height of walls between which fingers have no room to open: let go above them
    width: float = 0.038  # [m] across the fingers that grasp it


def new_body(spec: mujoco.MjSpec, name: str, *, movable: bool = True) -> mujoco.MjsBody:
    """A body that lies free on the table, or one that is put somewhere and stays."""
    body = spec.worldbody.add_body(name=name, mocap=not movable)
    if movable:
        body.add_freejoint(name=f"{name}_free")
    return body
