"""Does a method find the reward that demonstrators had? `vgps bench irl`: on worlds where that reward is known."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from vgps_models.irl.airl import AIRL, AIRLConfig, Moves
from vgps_models.irl.maxent import maxent, visits_of
from vgps_models.irl.mdp import MDP, Floats, induced
from vgps_models.irl.starc import starc
from vgps_models.irl.worlds import WORLDS, World, walk


@dataclass(frozen=True)
class Recovery:
    """`vgps bench irl`"""

    seeds: tuple[int, ...] = (0, 1, 2, 3, 4)  # of the worlds and demonstrations
    paths: int = 2000  # demonstrations of a world
    length: int = 50  # steps of each
    updates: int = 1500  # of AIRL
    threads: int = 1  # torch threads


def recover(config: Recovery = Recovery()) -> dict[str, Any]:
    """STARC distance to the truth and the share of its best return that is induced, of every method in every world."""
    torch.set_num_threads(config.threads)
    methods: dict[str, Callable[[World, np.ndarray, np.ndarray, int], Floats]] = {
        "airl": lambda world, states, actions, seed: airl(world.mdp, states, actions, seed, config.updates),
        "maxent": lambda world, states, actions, seed: maxent(
            world.mdp, np.eye(world.mdp.states), visits_of(list(states), world.mdp.states, world.mdp.gamma)
        ),
        "random": lambda world, states, actions, seed: np.random.default_rng(seed).normal(size=world.mdp.states),
    }
    told: dict[str, Any] = {}
    for name, make in WORLDS.items():
        for method, find in methods.items():
            cells = []
            for seed in config.seeds:
                world = make(seed)
                expert = world.mdp.soft(world.truth)
                states, actions = walk(world.mdp, expert, config.paths, config.length, np.random.default_rng([seed, 3]))
                found = world.mdp.of_states(find(world, states, actions, seed))
                cells.append((starc(world.mdp, found, world.truth), induced(world.mdp, found, world.truth)))
            away, won = np.array(cells).T
            told.setdefault(name, {})[method] = {
                "starc": {"median": round(float(np.median(away)), 4), "worst": round(float(away.max()), 4)},
                "return": {"median": round(float(np.median(won)), 4), "worst": round(float(won.min()), 4)},
            }
    return told


def airl(mdp: MDP, states: np.ndarray, actions: np.ndarray, seed: int, updates: int, batch: int = 512) -> Floats:
    """g (S,) from paths (N, T + 1) and actions (N, T). The policy is the soft optimum of f, again and again."""
    torch.manual_seed(seed)
    random = np.random.default_rng([seed, 4])
    eye = torch.eye(mdp.states)
    model = AIRL(mdp.states, replace(AIRLConfig(), gamma=mdp.gamma, widths=(), penalty=0.0))
    optimiser = torch.optim.Adam(model.parameters(), 2e-2)
    shown = (states[:, :-1].ravel(), actions.ravel(), states[:, 1:].ravel())
    mean = torch.zeros(mdp.states)
    for update in range(updates):
        optimiser.param_groups[0]["lr"] = 2e-2 * min(1.0, 2 * (1 - update / updates))
        if update % 5 == 0:
            policy = mdp.soft(_shaped(model, mdp, eye))
            paths, done = walk(mdp, policy, 40, states.shape[1] - 1, random)
            own = (paths[:, :-1].ravel(), done.ravel(), paths[:, 1:].ravel())
        sides = []
        for s, a, t in (shown, own):
            rows = random.integers(0, len(s), batch)
            log_pi = torch.from_numpy(np.log(policy[s[rows], a[rows]])).float()
            sides.append(Moves(eye[s[rows]], eye[t[rows]], log_pi, torch.zeros(batch, dtype=torch.bool)))
        loss, _ = model.loss(*sides)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if update >= updates // 2:
            mean += model.reward(eye).detach()
    return (mean / (updates - updates // 2)).double().numpy()


@torch.no_grad()
def _shaped(model: AIRL, mdp: MDP, eye: torch.Tensor) -> Floats:
    """f of every transition (S, A, S)."""
    over = torch.zeros(mdp.states, dtype=torch.bool)
    f = torch.stack([model.f(eye[s].expand(mdp.states, -1), eye, over) for s in range(mdp.states)])
    return np.broadcast_to(f.double().numpy()[:, None], mdp.moves.shape)
