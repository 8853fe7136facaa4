"""What `vgps eval` plays, as settings: the sides with their policies and critics, the seeds, the requirements."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Annotated, Literal

import tyro

from vgps_models.errors import SpecError, UnknownNameError, UsageError, VgpsError
from vgps_models.selection import Selection
from vgps_node.bringup import GraphOptions
from vgps_node.conditions import Steered
from vgps_node.own_policy import OwnPolicy
from vgps_node.wording import in_words
from vgps_sim.requirements import ERROR_RATE, Requirement, parse, parse_rate
from vgps_sim.results import REPORT_SEED, Condition

DEFAULTS = GraphOptions()
BARE = Selection("first")
SIDES = ("bare", "guided", "abstaining", "random", "worst", "filtered", "oracle", "baseline", "candidate")
TASKS = ("put_spoon_on_towel", "put_carrot_on_plate", "stack_green_block_on_yellow_block", "put_eggplant_in_basket")


@dataclass(frozen=True)
class Choosing(Selection):
    """A selection whose rule is also called --select on the command line."""

    rule: Annotated[str, tyro.conf.arg(aliases=("--select",))] = DEFAULTS.selection.rule  # how the guided side chooses


@dataclass(frozen=True)
class EvalConfig:
    # Checkpoint, a shipped name or a path; or a function of your own, as package.module:name or
    # package.module:name@VERSION (docs/how-to/own-policy.md).
    policy: str = DEFAULTS.policy
    # Checkpoint that guides it, or "none". Default: "critic"; with --baseline none, so that both sides are bare.
    critic: str | None = None
    k: int = DEFAULTS.k  # chunks to choose from on the guided sides
    selection: tyro.conf.OmitArgPrefixes[Choosing] = field(default_factory=Choosing)  # how one is chosen
    baseline: str | None = None  # another policy: the sides are then "baseline" and, of --policy, "candidate"
    baseline_critic: str | None = None  # checkpoint that guides the baseline; bare when it is not given
    baseline_k: int | None = None  # chunks that this critic chooses from; as --k when it is not given
    baseline_select: str | None = None  # how the baseline chooses; as --select when it is not given
    trust: Path | None = None  # file of `vgps train trust`, for the side "abstaining"
    # Of bare, guided, abstaining, random, worst, filtered, oracle, baseline, candidate; the first is what the others
    # are compared with. Default: bare guided; with --baseline: baseline candidate; bare for a function of your own.
    # With ":seen" or ":unseen" after its name a side is given the task in a paraphrase that training has or has not
    # used.
    sides: tuple[str, ...] | None = None
    filtered: str = "policy_success_only"  # checkpoint of the side "filtered": cloned from successes alone
    tasks: tuple[str, ...] = TASKS
    episodes: int = 40  # paired seeds in all, spread evenly over the tasks; with --until decided the most
    seed: int = REPORT_SEED  # the first of them; below 1000000 are for tuning
    # What the result must show, in quotes: "candidate-baseline>=0", "candidate>=80%", "candidate-baseline.lower>-5 %".
    # Can be given several times. Exit code 3 when one fails, 4 when one is undecided.
    require: Annotated[tuple[str, ...], tyro.conf.UseAppendAction] = ()
    fail_under: str | None = None  # success rate that the second side, or the only one, must reach: 0.8 or 80%
    # decided: stop when one requirement has failed or all are met, by a test that may be looked at at any time.
    until: Literal["end", "decided"] = "end"
    error_rate: float = ERROR_RATE  # of --until decided: the most that each verdict may be wrong with
    domain: str = "target"  # how scenes look: target, broad or knocked (cameras moved); others need no --ros
    execute: int = DEFAULTS.execute  # control steps of a chunk before the next one
    max_steps: int = DEFAULTS.max_steps  # control steps after which an episode has failed
    judge: str = "none"  # estimator that also judges the last images: "progress", "imagetext", a path, or "none"
    processes: int = 2  # worker processes; one when it goes over ROS
    ros: bool = False  # play over the ROS graph instead of in this process
    clock: str = DEFAULTS.clock  # lockstep, latency or realtime; others than lockstep need --ros
    latency: float = DEFAULTS.latency  # [s] before a command takes effect, for clock latency
    json: Path | None = None  # file to write the numbers to
    junit: Path | None = None  # file to write the verdicts to as JUnit XML
    out: Path | None = None  # folder for episodes, report and videos; run again, it goes on where it stopped
    videos: int = 0  # how many seeds to film for the report, needs --out

    @property
    def side_names(self) -> tuple[str, ...]:
        if self.sides:
            return self.sides
        if self.baseline is not None:
            return ("baseline", "candidate")
        # The shipped critic was trained on other actions than those of a function of the user's own.
        alone = self.critic == "none" or (self.critic is None and OwnPolicy.parse(self.policy))
        return ("bare",) if alone else ("bare", "guided")

    def requirements(self) -> tuple[Requirement, ...]:
        """What --require and --fail-under ask for. Raises RequirementError."""
        wanted = [parse(text, self.side_names) for text in dict.fromkeys(self.require)]
        if self.fail_under is not None:
            side, rate = self.side_names[:2][-1], parse_rate(self.fail_under, "--fail-under")
            wanted.append(Requirement(side, None, "point", ">=", rate, f"{side}>={rate:g}"))
        return tuple(wanted)

    def require_playable(self) -> None:
        """Raise where the options contradict each other."""
        for task in self.tasks:
            if task not in TASKS:
                raise UnknownNameError("task", task, TASKS)
        names = [self.policy, self.filtered, *([] if self.baseline is None else [self.baseline])]
        own = [name for name in names if OwnPolicy.parse(name)]
        if self.clock != "lockstep" and not self.ros:
            raise VgpsError(f"the clock '{self.clock}' exists on the ROS graph alone; add --ros")
        if self.ros and any(":" in side for side in self.side_names):
            raise VgpsError("over ROS the world's own sentence is what the nodes hear; paraphrases need no --ros")
        if self.domain != "target" and (self.ros or self.videos):
            raise VgpsError(
                f"the domain '{self.domain}' is played in this process and not filmed; leave --ros and --videos"
            )
        if self.ros and any(side.startswith("oracle") for side in self.side_names):
            raise VgpsError("the oracle looks into the simulator, which the nodes of the graph do not; leave out --ros")
        if self.ros and own:
            raise VgpsError(f"the graph runs checkpoints, and {own[0]} is a function of yours; leave out --ros")
        if self.ros and self.judge != "none":
            raise VgpsError("a judge of images sits beside the simulator in this process; leave out --ros or --judge")

    def conditions(self) -> list[Condition]:
        """The sides, each refused when its checkpoints do not fit."""
        guidance = {"--baseline-k": self.baseline_k, "--baseline-select": self.baseline_select}
        given = [option for option, value in guidance.items() if value is not None]
        if given and self.baseline_critic in (None, "none"):
            raise UsageError(f"{' and '.join(given)} say how the baseline is guided; give --baseline-critic too")
        if self.baseline_critic is not None and self.baseline is None:
            raise UsageError("--baseline-critic guides a baseline; give --baseline POLICY too")
        if self.baseline is not None and "baseline" not in [name.partition(":")[0] for name in self.side_names]:
            raise UsageError("--baseline is given, but not among --sides; leave out --sides, or add 'baseline' to them")
        sides: list[Condition] = []
        for spoken in self.side_names:
            name, _, wording = spoken.partition(":")
            try:
                condition = in_words(self._side(name).condition(name), wording or "canonical")
            except SpecError as error:
                if self.critic is not None:
                    raise
                raise SpecError(
                    f"{error}. This is the shipped critic: give the one that was made for this policy (--critic), or "
                    "evaluate the policy bare (--critic none)"
                ) from error
            if name == "oracle":
                from vgps_sim.oracle import foreseen  # MuJoCo, which --help does without

                condition = foreseen(condition)
            sides.append(self._seen(condition))
        return sides

    def _side(self, name: str) -> Steered | OwnPolicy:
        if name not in SIDES:
            raise UnknownNameError("side", name, SIDES)
        if name in ("bare", "filtered"):
            return _side(self.policy if name == "bare" else self.filtered)
        if name == "baseline":
            return self._baseline()
        if name == "candidate":
            return _bare_or_guided(self.policy, self.critic, self.k, self.selection)
        if name in ("random", "oracle"):  # of what the oracle tries out, the policy's own first chunk comes first
            return _side(self.policy, None, self.k, Selection("random" if name == "random" else "first"))
        critic = DEFAULTS.critic if self.critic is None else self.critic
        if critic == "none":
            raise VgpsError(f"the side '{name}' needs a critic; give --critic, or --sides bare random")
        guided = _side(self.policy, critic, self.k, Selection("worst") if name == "worst" else self.selection)
        if name in ("guided", "worst"):
            return guided
        if self.trust is None:
            raise VgpsError("the side 'abstaining' needs --trust FILE; `vgps train trust` makes one")
        if isinstance(guided, OwnPolicy):
            raise UsageError("the side 'abstaining' needs a policy that is a checkpoint; its threshold belongs to one")
        return guided.trusting(self.trust)

    def _baseline(self) -> Steered | OwnPolicy:
        if self.baseline is None:
            raise UsageError("the side 'baseline' needs --baseline POLICY")
        k = self.k if self.baseline_k is None else self.baseline_k
        rule = self.selection.rule if self.baseline_select is None else self.baseline_select
        side = _bare_or_guided(self.baseline, self.baseline_critic, k, replace(self.selection, rule=rule))
        new = OwnPolicy.parse(self.policy)
        if isinstance(side, OwnPolicy) and new and str(side) == str(new) and side.version != new.version:
            return replace(side, recorded=True)  # of a module there is one version in a process
        return side

    def _seen(self, side: Condition) -> Condition:
        """Results of another domain are other results."""
        return side if self.domain == "target" else replace(side, settings={**side.settings, "domain": self.domain})

    def graph(self) -> GraphOptions:
        """What the graph starts with; every episode then sets its own side."""
        critic = self.critic or (DEFAULTS.critic if self.baseline is None else self.baseline_critic or "none")
        return GraphOptions(
            policy=self.policy,
            critic=critic,
            k=self.k,
            selection=Selection("first") if critic == "none" else self.selection,
            execute=self.execute,
            max_steps=self.max_steps,
            clock=self.clock,
            latency=self.latency,
        )


def _side(policy: str, critic: str | None = None, k: int = 1, selection: Selection = BARE) -> Steered | OwnPolicy:
    own = OwnPolicy.parse(policy)
    if own is None:
        return Steered(policy, critic, k, selection)
    return replace(own, critic=critic, k=k, selection=selection)


def _bare_or_guided(policy: str, critic: str | None, k: int, selection: Selection) -> Steered | OwnPolicy:
    return _side(policy) if critic in (None, "none") else _side(policy, critic, k, selection)
