"""Whether an arm touches the table, or itself."""

from __future__ import annotations

from itertools import combinations

import mujoco
import numpy as np
from numpy.typing import NDArray

from vgps_models.spaces import Array
from vgps_sim.retarget.refine import Chain

TOUCHING = 0.001  # [m] deeper than this into something is a collision


def colliding(chain: Chain, q: Array) -> NDArray[np.bool_]:
    """In which frames of q (T, n) a link is in the table or in another link that is not next to it (T,)."""
    model = chain.model
    data = mujoco.MjData(model)
    at = [int(model.joint(name).qposadr[0]) for name in chain.joints]
    pairs, hit = own_pairs(chain), np.zeros(len(q), bool)
    for t, row in enumerate(q):
        data.qpos[at] = row
        mujoco.mj_forward(model, data)
        on_table = bool((data.contact.dist[: data.ncon] < -TOUCHING).any())
        hit[t] = on_table or any(_inside(model, data, a, b) for a, b in pairs)
    return hit


def own_pairs(chain: Chain) -> list[tuple[int, int]]:
    """Geoms of the arm that could meet: of links with another one between them, but for those that overlap as they are
    modelled, with all joints at 0."""
    model = chain.model
    solid = [g for g in range(model.ngeom) if model.geom_contype[g] == 1 and model.geom_bodyid[g] != 0]
    pairs = [(a, b) for a, b in combinations(solid, 2) if _apart(model, model.geom_bodyid[a], model.geom_bodyid[b]) > 1]
    data = mujoco.MjData(model)
    mujoco.mj_kinematics(model, data)
    return [(a, b) for a, b in pairs if not _inside(model, data, a, b)]


def _apart(model: mujoco.MjModel, one: int, other: int) -> int:
    """Bodies from one to the other along the tree."""
    ways: list[list[int]] = []
    for body in (one, other):
        way = [int(body)]
        while way[-1] != 0:
            way.append(int(model.body_parentid[way[-1]]))
        ways.append(way)
    common = next(body for body in ways[0] if body in ways[1])
    return ways[0].index(common) + ways[1].index(common)


def _inside(model: mujoco.MjModel, data: mujoco.MjData, a: int, b: int) -> bool:
    return mujoco.mj_geomDistance(model, data, a, b, 0.02, None) < -TOUCHING
