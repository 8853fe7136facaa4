"""The arms that motions are brought to, as kinematic chains over a table."""

from __future__ import annotations

from collections.abc import Callable

import mujoco
import numpy as np

from vgps_models.errors import UnknownNameError
from vgps_sim.kinematics import ToolKinematics
from vgps_sim.objects import BOX, CAPSULE
from vgps_sim.retarget.refine import Chain

# WidowX 250 S: joint, where it is in the one before [m], axis, range [deg], radius of the link that follows [m].
LINKS_250S = (
    ("waist", (0.0, 0.0, 0.072), (0, 0, 1), (-180, 180), 0.035),
    ("shoulder", (0.0, 0.0, 0.03865), (0, 1, 0), (-108, 114), 0.025),
    ("elbow", (0.04975, 0.0, 0.25), (0, 1, 0), (-123, 92), 0.022),
    ("forearm_roll", (0.175, 0.0, 0.0), (1, 0, 0), (-180, 180), 0.02),
    ("wrist_angle", (0.075, 0.0, 0.0), (0, 1, 0), (-100, 123), 0.02),
    ("wrist_rotate", (0.065, 0.0, 0.0), (1, 0, 0), (-180, 180), 0.012),
)
TOOL_250S = (0.0936, 0.0, 0.0)


def widowx_ai() -> Chain:
    kinematics = ToolKinematics()
    return Chain(kinematics.model, kinematics.arm.joints, kinematics.arm.tool_site)


def widowx_250s() -> Chain:
    """From its joint offsets and limits, with capsules for links."""
    spec = mujoco.MjSpec()
    spec.compiler.degree = False
    spec.worldbody.add_geom(
        name="table", type=BOX, size=[0.5, 0.5, 0.02], pos=[0.3, 0, -0.02], contype=2, conaffinity=3
    )
    body = spec.worldbody.add_body(name="base_link")
    following = [*(link[1] for link in LINKS_250S[1:]), TOOL_250S]
    for (name, at, axis, limits, radius), end in zip(LINKS_250S, following, strict=True):
        body = body.add_body(name=f"{name}_link", pos=at)
        body.add_joint(name=name, axis=axis, range=np.radians(limits), limited=1)
        body.add_geom(
            name=f"{name}_link", type=CAPSULE, size=[radius, 0, 0], fromto=[0, 0, 0, *(0.8 * np.array(end))],
            mass=0.3, contype=1, conaffinity=2,
        )  # fmt: skip
    body.add_site(name="tool", pos=TOOL_250S)
    return Chain(spec.compile(), tuple(link[0] for link in LINKS_250S), "tool")


CHAINS: dict[str, Callable[[], Chain]] = {"widowx_ai": widowx_ai, "widowx_250s": widowx_250s}


def get_chain(arm: str) -> Chain:
    """The chain of an arm; the error lists the valid ones."""
    try:
        return CHAINS[arm]()
    except KeyError:
        raise UnknownNameError("arm", arm, CHAINS) from None
