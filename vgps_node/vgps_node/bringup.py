"""The graph as data: which nodes, with which parameters. `vgps up`, launch files and nodes read it. Knows no ROS."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from typing import Annotated

from vgps_models.errors import UnknownNameError, VgpsError
from vgps_models.limits import Between, OneOf, check_limits
from vgps_models.selection import Selection
from vgps_models.spaces import ActionSpec
from vgps_node.advising import ProgressOptions
from vgps_node.camera_pose import pose_text
from vgps_node.params import Parameter, flatten, specs

CLOCKS = ("lockstep", "latency", "realtime")
SIM, POLICY, VALUE, GATE = "sim_node", "policy_node", "value_node", "gate_node"
PROGRESS, TASK, REWARD = "progress_node", "task_node", "reward_node"


@dataclass(frozen=True)
class NodeSpec:
    """One process of the graph.

    name: of the node, of its module in vgps_node and of its executable. advisory: nothing else needs it, so the graph
    goes on when it ends.
    """

    name: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    package: str = "vgps"
    advisory: bool = False

    def command(self) -> list[str]:
        """What starts it with this Python."""
        command = [sys.executable, "-m", "vgps_node.process", self.name, "--ros-args"]
        for name, value in self.parameters.items():
            command += ["-p", f"{name}:={json.dumps(value)}"]  # JSON is YAML
        return command


@dataclass(frozen=True)
class GraphOptions:
    """Settings of a simulated graph."""

    policy: str = "policy"  # checkpoint that proposes chunks: a shipped name or a path
    critic: str = "critic"  # checkpoint that scores them: a shipped name or a path; none for no critic
    k: Annotated[int, Between(1, 1000)] = 10  # chunks proposed for an observation
    selection: Selection = field(default_factory=Selection)  # how one is chosen
    # control steps of a chunk that are executed before the next one
    execute: Annotated[int, Between(1, ActionSpec().horizon)] = 2
    max_steps: Annotated[int, Between(1, 100_000)] = 60  # control steps after which an episode is over
    # lockstep: the world waits for each command | latency: it moves on for a fixed time first | realtime: it runs by
    # the wall clock
    clock: Annotated[str, OneOf(CLOCKS)] = "lockstep"
    # [s] that the world moves on before a command takes effect; needs clock latency
    latency: Annotated[float, Between(0, 10)] = 0.0
    reward: str = ""  # file of a learned reward that reward_node estimates for the robot; empty: no reward_node

    def __post_init__(self) -> None:
        check_limits(self)

    def flat(self) -> dict[str, Parameter]:
        """Every option by its name, those of the selection among them."""
        options = asdict(self)
        return options | options.pop("selection")

    @classmethod
    def from_flat(cls, options: Mapping[str, Parameter]) -> GraphOptions:
        own = {f.name: options[f.name] for f in fields(cls) if f.name in options}
        return cls(selection=Selection.from_json(options), **own)  # type: ignore[arg-type]


OPTIONS = specs(GraphOptions())  # as parameters, for the nodes that have them


def thread_limits() -> dict[str, str]:
    """Variables that give each node one thread: the nodes share the cores. What the user has set stays."""
    ours = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "LP")}
    return {name: value for name, value in ours.items() if name not in os.environ}


def require_clock(clock: str, latency: float) -> None:
    """Raise when a simulator cannot have this clock. latency: [s]."""
    if clock not in CLOCKS:
        raise UnknownNameError("clock", clock, CLOCKS)
    if not 0.0 <= latency <= 10.0:
        raise VgpsError(f"a latency of {latency} s is outside 0..10 s")
    if latency and clock != "latency":
        raise VgpsError(f"a latency of {latency} s needs the clock 'latency', not '{clock}'")


def environment() -> dict[str, str]:
    """The environment that nodes run in."""
    return thread_limits() | os.environ


def sim_graph(options: GraphOptions | None = None) -> list[NodeSpec]:
    """The simulated robot under guided control, without task_node and advisory nodes."""
    o = options or GraphOptions()
    require_clock(o.clock, o.latency)
    realtime = o.clock == "realtime"
    common: dict[str, Parameter] = {"use_sim_time": True}
    seeing = common | {"execute": o.execute, "reliable_images": not realtime}
    return [
        NodeSpec(SIM, {"max_steps": o.max_steps, "clock": o.clock, "latency": o.latency, "depth": bool(o.reward)}),
        NodeSpec(POLICY, seeing | {"checkpoint": o.policy, "k": o.k}),
        NodeSpec(VALUE, seeing | {"checkpoint": o.critic} | o.selection.to_json()),
        NodeSpec(GATE, common | {"execute": o.execute, "hold_after": 0.5 if realtime else 5.0}),
    ]


def served_graph(options: GraphOptions | None = None, progress: ProgressOptions | None = None) -> list[NodeSpec]:
    """The same with task_node, which takes tasks from users, and the nodes that estimate progress and reward."""
    o, p = options or GraphOptions(), progress or ProgressOptions()
    common: dict[str, Parameter] = {"use_sim_time": True}
    limit = o.max_steps * ActionSpec().period
    task = NodeSpec(TASK, common | {"execute": o.execute, "simulator": True, "time_limit": limit, "policy": o.policy})
    seeing = common | {"reliable_images": o.clock != "realtime"}
    advisers = [] if p.estimator == "none" else [NodeSpec(PROGRESS, seeing | flatten(p), advisory=True)]
    advisers += [NodeSpec(REWARD, seeing | _rewarding(o.reward), advisory=True)] if o.reward else []
    return [*sim_graph(o), task, *advisers]


def _rewarding(reward: str) -> dict[str, Parameter]:
    """Parameters of a reward_node that watches the robot with the simulated front camera."""
    from vgps_sim.scene import CAMERAS, FRONT, camera_pose  # --help needs no MuJoCo

    pose = pose_text(camera_pose(CAMERAS[FRONT]))
    return {"reward": reward, "who": "robot", "camera": FRONT, "camera_pose": pose}
