"""A policy of your own, named as `package.module:name` or `package.module:name@VERSION`. Knows no ROS, loads no torch.

The name stands for one of

- a function of one observation, which returns a chunk (H, 7) in metres and radians, or a whole `Decision`;
- a function without arguments, or a class, that makes such a function, or an object with the method
  `sample(observation, k)` of `vgps_models.policies.base.Policy`, which a critic can guide.

VERSION is any word that changes when the policy does, as a commit or a hash of its weights. Results of a version are
kept and used again; results of a policy without one belong to one run only.
"""

from __future__ import annotations

import importlib
import inspect
import os
import re
import sys
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vgps_models.errors import SpecError, UsageError
from vgps_models.selection import Selection
from vgps_models.spaces import ActionSpec, Array, Controller, Decision, Normaliser, Observation
from vgps_sim.results import Condition

if TYPE_CHECKING:
    from vgps_models.policies.base import Proposal

_NAME = re.compile(
    r"(?P<module>[A-Za-z_]\w*(\.[A-Za-z_]\w*)*):(?P<name>[A-Za-z_]\w*(\.[A-Za-z_]\w*)*)(@(?P<version>.+))?"
)
_THIS_RUN = f"none, of run {uuid.uuid4().hex[:12]}"  # a version that no other run has
CHUNK, CHUNKS = "a chunk of actions, shape (H, 7)", "k chunks of actions, shape (k, H, 7)"


class OwnPolicyError(UsageError):
    """A policy of the user's own that cannot be used; the message says what it must be."""


@dataclass(frozen=True)
class OwnPolicy:
    """One side of an evaluation with a policy of the user's own, as settings. Picklable; called, it is made."""

    module: str
    name: str
    version: str
    critic: str | None = None  # checkpoint that guides it; None for no critic
    k: int = 1  # chunks to choose from
    selection: Selection = field(default_factory=lambda: Selection("first"))  # how
    recorded: bool = False  # its code is not the one in this process, so its results must be there already

    @classmethod
    def parse(cls, text: str) -> OwnPolicy | None:
        """What `text` names; None when it has not the form `module:name`, and must be a checkpoint."""
        found = None if Path(text).exists() else _NAME.fullmatch(text)
        return found and cls(found["module"], found["name"], found["version"] or _THIS_RUN)

    def __str__(self) -> str:
        return f"{self.module}:{self.name}"

    @property
    def versioned(self) -> bool:
        return self.version != _THIS_RUN

    def __call__(self) -> Controller:
        made = self._make()
        if callable(getattr(made, "sample", None)):
            from vgps_models.checkpoint import load_critic  # torch
            from vgps_models.steering import Steering

            critic = self.critic and load_critic(self.critic)
            missing = [name for name in ("spec", "normaliser") if critic and not hasattr(made, name)]
            if missing:
                raise OwnPolicyError(
                    f"{self} has no {' and no '.join(missing)}, which must equal those that its critic was trained on"
                )
            return Steering(CheckedPolicy(made, str(self)), critic or None, k=self.k, selection=self.selection)
        if self.critic is not None or self.k > 1:
            raise OwnPolicyError(
                f"{self} proposes one chunk, so there is nothing to choose from; let it make an object with "
                "sample(observation, k), or evaluate it bare"
            )
        return CheckedController(made, str(self))

    def require(self) -> None:
        """Raise OwnPolicyError when it cannot be imported or cannot be called as described above."""
        self._is_maker(self._target())

    def settings(self) -> dict[str, Any]:
        """What decides the outcome, as far as is known."""
        settings: dict[str, Any] = {"policy": str(self), "policy_version": self.version, "critic": self.critic}
        settings |= {"k": self.k} | self.selection.to_json()
        if self.critic is not None:
            from vgps_models.checkpoint import read_card

            settings["critic_sha256"] = read_card(self.critic).weights_sha256[:16]
        return settings

    def condition(self, name: str) -> Condition:
        """A side of an evaluation, refused when the policy cannot be imported."""
        self.require()
        elsewhere = (
            f"{self} is here in the version of --policy alone: play version {self.version} in a checkout of its own, "
            "with the same --out, seeds and steps"
        )
        return Condition(name, self, self.settings(), recorded=elsewhere if self.recorded else "")

    def _make(self) -> Callable[[Observation], Any]:
        target = self._target()
        made = target() if self._is_maker(target) else target
        if not callable(made) and not callable(getattr(made, "sample", None)):
            raise OwnPolicyError(
                f"{self}() made {_kind(made)}; it must make a function from an observation to {CHUNK}, or an object "
                "with sample(observation, k)"
            )
        return made

    def _target(self) -> Any:
        here = os.getcwd()
        if here not in sys.path:  # as `python -m` has it; last, so that it hides nothing that is installed
            sys.path.append(here)
        try:
            target: Any = importlib.import_module(self.module)
        except (Exception, SystemExit) as error:  # whatever the user's module raises
            raise OwnPolicyError(
                f"policy {self}: module {self.module} cannot be imported ({type(error).__name__}: {error}); install "
                f"it, set PYTHONPATH, or start in the folder that holds it (now {here})"
            ) from error
        for part in self.name.split("."):
            if not hasattr(target, part):
                known = sorted(n for n, v in vars(target).items() if callable(v) and not n.startswith("_"))
                there = ", ".join(known) or "nothing"
                raise OwnPolicyError(f"policy {self}: there is no '{part}'; what can be called there: {there}")
            target = getattr(target, part)
        return target

    def _is_maker(self, target: Any) -> bool:
        """Whether the named thing makes the policy, rather than being it."""
        if not callable(target):
            raise OwnPolicyError(f"policy {self} is {_kind(target)}; it must be a function or a class")
        try:
            parameters = inspect.signature(target).parameters.values()
        except (TypeError, ValueError):  # of some builtins nothing is known
            return inspect.isclass(target)
        required = [
            p.name for p in parameters if p.default is p.empty and p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)
        ]
        if len(required) > (0 if inspect.isclass(target) else 1) or any(
            p.kind is p.KEYWORD_ONLY and p.default is p.empty for p in parameters
        ):
            raise OwnPolicyError(
                f"policy {self} needs the arguments {', '.join(required)}; it is called with one observation, or with "
                "nothing if it makes the policy. Bind the others with functools.partial"
            )
        return not required


class CheckedController:
    """A controller of the user's own whose every answer is checked. Its exceptions pass: they end the evaluation."""

    def __init__(self, controller: Callable[[Observation], Any], name: str) -> None:
        self.controller, self.name = controller, name

    def __call__(self, observation: Observation) -> Decision:
        began = time.perf_counter()
        answer = self.controller(observation)
        took = 1e3 * (time.perf_counter() - began)
        if isinstance(answer, Decision):
            return replace(answer, chunk=checked(answer.chunk, CHUNK, self.name, observation))
        chunk = checked(answer, CHUNK, self.name, observation)
        return Decision(chunk=chunk, candidates=chunk[None], ms={"policy": took})


class CheckedPolicy:
    """The same for a policy that proposes several chunks. Chunks with NaN are dropped where one is chosen."""

    def __init__(self, policy: Any, name: str) -> None:
        self.policy, self.name = policy, name
        self.spec: ActionSpec = getattr(policy, "spec", ActionSpec())
        self.normaliser: Normaliser = getattr(policy, "normaliser", None)  # type: ignore[assignment]

    def sample(self, observation: Observation, k: int) -> Proposal:
        from vgps_models.policies.base import Proposal  # torch

        answer = self.policy.sample(observation, k)
        chunks, log_prob = answer if isinstance(answer, tuple) and len(answer) == 2 else (answer, None)
        chunks = checked(chunks, CHUNKS, self.name, observation, finite=False)
        if len(chunks) != k:
            raise ChunkError(f"{self.name} was asked for {k} chunks and returned {len(chunks)}")
        return Proposal(chunks, log_prob)


class ChunkError(SpecError):
    """A policy of the user's own returned something that cannot be executed."""


def checked(answer: Any, wanted: str, name: str, observation: Observation, *, finite: bool = True) -> Array:
    """The answer as an array of the wanted kind, CHUNK or CHUNKS. Raises ChunkError."""
    seed, step = observation.key
    where = f"at step {step} of seed {seed}; it must return {wanted}"
    try:
        chunk = np.asarray(answer, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ChunkError(f"{name} returned {_kind(answer)} {where}") from error
    if answer is None or chunk.ndim != (2 if wanted == CHUNK else 3) or 0 in chunk.shape or chunk.shape[-1] != 7:
        raise ChunkError(f"{name} returned {_kind(answer)} of shape {chunk.shape} {where}")
    if finite and not np.isfinite(chunk).all():
        raise ChunkError(f"{name} returned NaN or infinity {where}")
    return chunk


def _kind(value: Any) -> str:
    return "None" if value is None else f"{type(value).__name__}"
