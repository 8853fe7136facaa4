"""The graph as data: which nodes, with which parameters. `vgps up` and the launch files both read it."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields

from vgps_models.errors import UnknownNameError
from vgps_models.selection import Selection
from vgps_models.spaces import ActionSpec
from vgps_node.advising import ProgressOptions
from vgps_node.camera_pose import pose_text
from vgps_node.flat import Parameter, flatten

CLOCKS = ("lockstep", "latency", "realtime")
SIM, POLICY, VALUE, GATE = "sim_node", "policy_node", "value_node", "gate_node"
PROGRESS, TASK, REWARD = "progress_node", "task_node", "reward_node"


@dataclass(frozen=True)
class NodeSpec:
    """One process of the graph. name: of the node, of its module in vgps_node and of its executable."""

    name: str
    parameters: Mapping[str, Parameter] = field(default_factory=dict)
    package: str = "vgps"

    def command(self) -> list[str]:
        """What starts it with this Python."""
        command = [sys.executable, "-m", f"vgps_node.{self.name}", "--ros-args"]
        for name, value in self.parameters.items():
            command += ["-p", f"{name}:={json.dumps(value)}"]  # JSON is YAML
        return command


@dataclass(frozen=True)
class GraphOptions:
    """Everything a simulated graph is started with."""

    policy: str = "policy"  # checkpoint that proposes: a shipped name or a path
    critic: str = "critic"  # checkpoint that judges; "none" for no critic
    k: int = 10  # chunks proposed for an observation
    selection: Selection = field(default_factory=Selection)  # how one is chosen
    execute: int = 2  # control steps of a chunk before the next one
    max_steps: int = 60  # control steps after which an episode is over
    clock: str = "lockstep"  # lockstep, latency or realtime
    latency: float = 0.0  # [s] that the world moves on before a command, for clock latency
    reward: str = ""  # file of a learned reward that reward_node is to follow the robot with; empty: nobody does

    def __post_init__(self) -> None:
        if self.clock not in CLOCKS:
            raise UnknownNameError("clock", self.clock, CLOCKS)

    def flat(self) -> dict[str, Parameter]:
        """Every option by its name, those of the selection among them."""
        options = asdict(self)
        return options | options.pop("selection")

    @classmethod
    def from_flat(cls, options: Mapping[str, Parameter]) -> GraphOptions:
        own = {f.name: options[f.name] for f in fields(cls) if f.name in options}
        return cls(selection=Selection.from_json(options), **own)  # type: ignore[arg-type]


def environment() -> dict[str, str]:
    """What the nodes run in: one thread each, since they share the cores."""
    ours = {f"{library}_NUM_THREADS": "1" for library in ("OMP", "OPENBLAS", "MKL", "LP")}
    return ours | os.environ


def sim_graph(options: GraphOptions | None = None) -> list[NodeSpec]:
    """The simulated robot under guided control: what acts, and no more."""
    o = options or GraphOptions()
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
    """The same with what serves people: tasks that can be asked for, and word of how far along they are."""
    o, p = options or GraphOptions(), progress or ProgressOptions()
    common: dict[str, Parameter] = {"use_sim_time": True}
    limit = o.max_steps * ActionSpec().period
    task = NodeSpec(TASK, common | {"execute": o.execute, "simulator": True, "time_limit": limit})
    seeing = common | {"reliable_images": o.clock != "realtime"}
    advisers = [] if p.estimator == "none" else [NodeSpec(PROGRESS, seeing | flatten(p))]
    advisers += [NodeSpec(REWARD, seeing | _rewarding(o.reward))] if o.reward else []
    return [*sim_graph(o), task, *advisers]


def _rewarding(reward: str) -> dict[str, Parameter]:
    """A reward over what the robot does before its simulated front camera."""
    from vgps_sim.scene import CAMERAS, FRONT, camera_pose  # help is told without MuJoCo

    pose = pose_text(camera_pose(CAMERAS[FRONT]))
    return {"reward": reward, "who": "robot", "camera": FRONT, "camera_pose": pose}
