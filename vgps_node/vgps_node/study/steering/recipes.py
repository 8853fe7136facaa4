"""What the study trains."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from vgps_node.study.recipe import RUNS, Recipe, recipe

ARCHITECTURES = ("flow", "ddim", "tokens", "cvae", "gmm")
POLICY_SEEDS = (0, 1)
CRITIC_SEEDS = (0, 1, 2)
BROAD_ENCODER = RUNS / "encoder_broad.safetensors"


def policy(architecture: str, seed: int) -> Path:
    """A generalist: trained on the broad mix, frozen from then on."""
    return RUNS / "policies" / f"{architecture}-{seed}.safetensors"


def trust(name: str) -> Path:
    """When to believe the critic of seed 0 about the chunks of a policy of seed 0."""
    return RUNS / "trust" / f"{name}-0.json"


def critic(name: str, seed: int = 0) -> Path:
    """A value function of the target domain."""
    return RUNS / "critics" / f"{name}-{seed}.safetensors"


def data() -> list[Recipe]:
    return [
        recipe("data/scenes", "scenes --seed 0"),
        recipe("data/mixed", "collect --quality mixed --seed 0"),
        recipe("data/scenes_broad", "scenes --domain broad --seed 1"),
        recipe("data/broad", "collect --domain broad --quality varied --seed 10000"),
        recipe("data/expert", "collect --quality expert --episodes 600 --seed 20000"),
    ]


def generalists() -> list[Recipe]:
    """Policies of every architecture, trained on the broad mix and frozen from then on."""
    broad = f"train policy --data data/broad --encoder {BROAD_ENCODER} --like critic"
    return [
        recipe(policy(name, seed), f"{broad} --architecture {name} --seed {seed}")
        for seed in POLICY_SEEDS
        for name in ARCHITECTURES
    ]


def specialists() -> list[Recipe]:
    """Policies that saw the target domain: what guidance is compared with, and one that needs no help."""
    target = "train policy --encoder encoder --like critic"
    again = f"train policy --data data/mixed --encoder {BROAD_ENCODER} --like critic"
    tuned = f"{again} --start {policy('flow', 0)} --steps 3000 --rate 3e-4"
    return [
        recipe(policy("expert", 0), f"{target} --data data/expert"),
        recipe(policy("cloned", 0), f"{target} --data data/mixed --success-only"),
        recipe(policy("tuned", 0), tuned),
        recipe(policy("tuned_success", 0), f"{tuned} --success-only"),
    ]


# Critics other than the default one, by what is changed.
VARIANTS: dict[str, str] = {
    "cql": "--algorithm cql",
    "iql": "--algorithm iql",
    "ota": "--algorithm ota",
    "calql_hl": "--model.head hl_gauss",
    "cql_hl": "--algorithm cql --model.head hl_gauss",
    "iql_hl": "--algorithm iql --model.head hl_gauss",
    "first_action": "--horizon 1",
    "not_pessimistic": "--calql.alpha 0",
    "no_negatives": "--calql.wrong-weight 0",
    "one_head": "--model.heads 1",
    "two_heads": "--model.heads 2",
    "eight_heads": "--model.heads 8",
    "half_data": "--fraction 0.5",
    "tenth_data": "--fraction 0.1",
    "successes": "--success-only",
}


def critics() -> list[Recipe]:
    base = "train critic --data data/mixed --policy policy"
    return [
        *(recipe(critic("calql", seed), f"{base} --seed {seed}") for seed in CRITIC_SEEDS),
        *(recipe(critic(name), f"{base} {words}") for name, words in VARIANTS.items()),
    ]


def trusts() -> list[Recipe]:
    words = f"train trust --data data/mixed --policy {policy('flow', 0)} --critic {critic('calql')}"
    return [recipe(trust("flow"), words)]


def distilled() -> list[Recipe]:
    """The generalist, retrained on the critic's best of its own samples."""
    words = f"--distil.policy {policy('flow', 0)} --distil.critic {critic('calql')} --distil.k 10"
    return [recipe(policy("distilled", 0), f"train policy --data data/mixed --encoder {BROAD_ENCODER} {words}")]


def stages() -> list[list[Recipe]]:
    """All of it, each stage after what it needs. Recipes of one stage may run side by side."""
    encoder = recipe(BROAD_ENCODER, "train encoder --data data/scenes_broad --steps 1200")
    return [*([r] for r in data()), [encoder], generalists(), [*specialists(), *critics()], [*distilled(), *trusts()]]


def everything() -> Sequence[Recipe]:
    return [recipe for stage in stages() for recipe in stage]
