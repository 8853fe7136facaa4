"""The table, its light and its cameras: one compiled MuJoCo model a task."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import mujoco
import numpy as np

from vgps_models.spaces import Array
from vgps_sim.arms import Arm, arm_spec
from vgps_sim.objects import SOLID, get_thing


@dataclass(frozen=True)
class Camera:
    """A fixed camera that looks from `position` at `target` [m, base frame]."""

    position: tuple[float, float, float]
    target: tuple[float, float, float]
    fovy: float  # [deg]


# Low and from across the table: the arm hides the least there. The shoulder view is for people.
FRONT = "front"
CAMERAS: dict[str, Camera] = {
    FRONT: Camera((0.68, 0.0, 0.29), (0.29, 0.0, 0.025), 50.0),
    "shoulder": Camera((-0.18, -0.42, 0.46), (0.28, 0.02, 0.03), 46.0),
}
WRIST = "wrist"
CAMERA_NAMES = (*CAMERAS, WRIST)


def scene_spec(arm: Arm, things: Sequence[str]) -> mujoco.MjSpec:
    """A table with `arm` at its edge and `things` on it, in no particular place."""
    spec = arm_spec(arm)
    spec.modelname = f"{arm.name}_table"
    spec.material("trossen_black").rgba = [0.17, 0.17, 0.19, 1.0]
    furnish(spec)
    for name, camera in CAMERAS.items():
        spec.worldbody.add_camera(name=name, pos=camera.position, quat=look_at(camera), fovy=camera.fovy)
    wrist = spec.camera(arm.wrist_camera)
    wrist.name = WRIST
    for thing in things:
        get_thing(thing).add(spec, thing)
    return spec


def furnish(spec: mujoco.MjSpec) -> None:
    """Add the table, its light, and how physics and drawing are done."""
    spec.option.timestep = 0.002
    spec.option.cone = mujoco.mjtCone.mjCONE_ELLIPTIC
    spec.option.impratio = 5.0
    # Multisampling and shadows cost ten to twenty times the rest on a software renderer.
    spec.visual.quality.shadowsize = 0
    spec.visual.quality.offsamples = 0
    spec.visual.map.znear = 0.01
    spec.visual.global_.offwidth, spec.visual.global_.offheight = 1280, 960
    spec.visual.headlight.ambient = [0.32, 0.32, 0.32]
    spec.visual.headlight.diffuse = [0.25, 0.25, 0.25]
    spec.visual.headlight.specular = [0.1, 0.1, 0.1]

    world = spec.worldbody
    spec.add_texture(
        name="wood", type=mujoco.mjtTexture.mjTEXTURE_2D, builtin=mujoco.mjtBuiltin.mjBUILTIN_FLAT,
        rgb1=[0.8, 0.64, 0.48], rgb2=[0.8, 0.64, 0.48], mark=mujoco.mjtMark.mjMARK_RANDOM,
        markrgb=[0.74, 0.58, 0.42], random=0.06, width=512, height=512,
    )  # fmt: skip
    spec.add_material(name="table", texrepeat=[2, 2], specular=0.15, shininess=0.3).textures[
        mujoco.mjtTextureRole.mjTEXROLE_RGB
    ] = "wood"
    spec.add_texture(
        name="wall", type=mujoco.mjtTexture.mjTEXTURE_SKYBOX, builtin=mujoco.mjtBuiltin.mjBUILTIN_GRADIENT,
        rgb1=[0.86, 0.87, 0.88], rgb2=[0.55, 0.57, 0.6], width=256, height=256,
    )  # fmt: skip
    world.add_geom(
        name="table", type=mujoco.mjtGeom.mjGEOM_BOX, size=[0.36, 0.5, 0.02], pos=[0.24, 0, -0.02],
        material="table", friction=[1.0, 0.02, 0.001], **SOLID,
    )  # fmt: skip
    world.add_light(
        name="lamp", pos=[0.5, -0.6, 1.2], dir=[-0.25, 0.5, -1.0], type=mujoco.mjtLightType.mjLIGHT_DIRECTIONAL,
        diffuse=[0.36, 0.355, 0.34], castshadow=False,
    )  # fmt: skip


def look_at(camera: Camera) -> np.ndarray:
    """Orientation of a MuJoCo camera (looks along -z, y up). Quaternion wxyz, shape (4,)."""
    back = np.subtract(camera.position, camera.target)
    back /= np.linalg.norm(back)
    right = np.cross([0.0, 0.0, 1.0], back)
    right /= np.linalg.norm(right)
    quat = np.zeros(4)
    mujoco.mju_mat2Quat(quat, np.stack([right, np.cross(back, right), back], axis=1).ravel())
    return quat


def camera_pose(camera: Camera) -> Array:
    """Pose (4, 4) of a camera in the base frame: x to the right, y down, z forward."""
    rotation, pose = np.empty(9), np.eye(4)
    mujoco.mju_quat2Mat(rotation, look_at(camera))
    pose[:3, :3] = rotation.reshape(3, 3) * (1.0, -1.0, -1.0)
    pose[:3, 3] = camera.position
    return pose


def project(model: mujoco.MjModel, data: mujoco.MjData, camera: str, point: Array) -> tuple[float, float, bool]:
    """Where a point of the base frame appears: (u, v) in 0..1 from the upper left of a square picture, and
    whether it is in view."""
    index = model.camera(camera).id
    local = data.cam_xmat[index].reshape(3, 3).T @ (np.asarray(point) - data.cam_xpos[index])
    if local[2] > -1e-3:
        return 0.0, 0.0, False
    scale = 0.5 / np.tan(np.deg2rad(model.cam_fovy[index]) / 2)
    u, v = 0.5 + scale * local[0] / -local[2], 0.5 - scale * local[1] / -local[2]
    return float(u), float(v), bool(0 <= u <= 1 and 0 <= v <= 1)
