"""What the study plays: questions, and the sides that answer them on the same seeds.

A full grid of policy x critic x selection x K x task would be some 1500 cells. So one centre is fixed
(the policy `flow-0`, the critic `calql-0`, the default selection, K = 10, two steps of a chunk executed)
and every axis is varied through it; the headline crosses all policies with all their and the critic's seeds.
"""

from __future__ import annotations

from dataclasses import replace

from vgps_models.selection import Selection
from vgps_node.conditions import Steered
from vgps_node.study.experiment import DEFAULT, Experiment, K, bare, guided
from vgps_node.study.steering.recipes import ARCHITECTURES, CRITIC_SEEDS, POLICY_SEEDS, VARIANTS, critic, policy, trust

KS = (1, 5, 10, 30, 50, 100)
CENTRE = "flow"
RULES: dict[str, Selection] = {
    "argmax": Selection("argmax"),
    "softmax": Selection("softmax", beta=1.0),
    "mean_std": Selection("mean_std"),
    "pessimistic": Selection("pessimistic"),
    "weighted_mean": Selection("weighted_mean"),
    "expanded": Selection("argmax", expand=40),
    "expanded_pessimistic": Selection("pessimistic", expand=40),
    "cem": replace(DEFAULT, refine="cem"),
    "gradient": replace(DEFAULT, refine="gradient"),
}


def headline(architecture: str, seed: int) -> Experiment:
    own = policy(architecture, seed)
    sides = {"bare": bare(own)} | {f"guided-{c}": guided(own, critic("calql", c)) for c in CRITIC_SEEDS}
    return Experiment(
        f"headline-{architecture}-{seed}", "Does one critic raise every policy, whatever the training seeds?", sides
    )


def more_candidates(architecture: str) -> Experiment:
    own, scorer = policy(architecture, 0), critic("calql")
    sides = {"bare": bare(own)} | {f"k{k}": guided(own, scorer, k) for k in KS[1:]}
    return Experiment(f"k-{architecture}", "What do more candidates do?", sides)


def rules(k: int) -> Experiment:
    own, scorer = policy(CENTRE, 0), critic("calql")
    sides = {"bare": bare(own)} | {name: guided(own, scorer, k, rule) for name, rule in RULES.items()}
    return Experiment(f"selection-k{k}", f"Which selection, among {k} candidates?", sides)


def critics(k: int) -> Experiment:
    own = policy(CENTRE, 0)
    names = ("calql", *VARIANTS)
    sides = {"bare": bare(own)} | {name: guided(own, critic(name), k) for name in names}
    return Experiment(f"critics-k{k}", f"Which critic, among {k} candidates? And what is each part of it worth?", sides)


def baselines() -> Experiment:
    scorer = critic("calql")
    sides: dict[str, Steered] = {}
    for name in (CENTRE, "cloned", "tuned", "tuned_success", "distilled"):
        sides |= {name: bare(policy(name, 0)), f"{name}-guided": guided(policy(name, 0), scorer)}
    return Experiment("baselines", "Is guidance worth more than training on the same target data?", sides)


def controls() -> Experiment:
    own, scorer = policy(CENTRE, 0), critic("calql")
    sides = {
        "bare": bare(own),
        "guided": guided(own, scorer),
        "random": Steered(str(own), None, K, Selection("random")),
        "worst": guided(own, scorer, K, Selection("worst")),
        "oracle": Steered(str(own), None, K, Selection("first")),
    }
    return Experiment("controls", "What do a random, the worst and a perfect choice reach?", sides, oracle=("oracle",))


def horizon(execute: int) -> Experiment:
    own, scorer = policy(CENTRE, 0), critic("calql")
    sides = {"bare": bare(own), "guided": guided(own, scorer)}
    return Experiment(f"horizon-{execute}", "How many steps of a chunk should be executed?", sides, execute)


def strongest() -> Experiment:
    own = policy("expert", 0)
    sides = {"bare": bare(own)} | {f"guided-{c}": guided(own, critic("calql", c)) for c in CRITIC_SEEDS}
    return Experiment("strongest", "Does guidance hurt a policy that is already good?", sides, episodes=400)


def language() -> Experiment:
    own, scorer = policy(CENTRE, 0), critic("calql")
    sides = {"guided": guided(own, scorer), "guided:unseen": guided(own, scorer)}
    wording = {"guided:unseen": "unseen"}
    return Experiment("language", "What do sentences cost that training never heard?", sides, 2, 400, wording=wording)


def abstention(domain: str) -> Experiment:
    own, scorer = policy(CENTRE, 0), critic("calql")
    sides = {"bare": bare(own), "guided": guided(own, scorer), "abstaining": guided(own, scorer)}
    return Experiment(
        f"abstention-{domain}",
        "Does letting go where the critic is in doubt help?",
        sides,
        domain=domain,
        trust={"abstaining": trust(CENTRE)},
    )


def everything() -> list[Experiment]:
    """In the order of importance, for those who stop early."""
    return [
        *(headline(name, seed) for seed in POLICY_SEEDS for name in ARCHITECTURES),
        strongest(),
        *(more_candidates(name) for name in ARCHITECTURES),
        baselines(),
        rules(10),
        rules(50),
        critics(10),
        critics(50),
        *(horizon(execute) for execute in (1, 4)),
        language(),
        *(abstention(domain) for domain in ("target", "knocked")),
        controls(),
    ]
