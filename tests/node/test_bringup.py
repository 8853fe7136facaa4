"""The node list: one description, for `vgps up` and for launch files."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
import yaml

from vgps_models.errors import UnknownNameError, VgpsError
from vgps_models.selection import Selection
from vgps_node.advising import ProgressOptions
from vgps_node.bringup import GraphOptions, NodeSpec, served_graph, sim_graph
from vgps_node.camera_pose import pose_of
from vgps_node.params import changed, flatten
from vgps_sim.scene import CAMERAS, FRONT

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize("spec", served_graph(), ids=lambda spec: spec.name)
def test_every_node_is_a_module_and_an_executable(spec: NodeSpec) -> None:
    assert callable(importlib.import_module(f"vgps_node.{spec.name}").main)
    assert (ROOT / "vgps_node" / "scripts" / spec.name).is_file()


def test_parameters_keep_their_types_on_the_way() -> None:
    values = {"flag": True, "count": 3, "number": 2.0, "word": "a b: c", "digits": "12"}
    command = NodeSpec("x", values).command()
    given = dict(part.split(":=", 1) for part in command if ":=" in part)
    back = {name: yaml.safe_load(text) for name, text in given.items()}
    assert back == values and all(type(back[name]) is type(value) for name, value in values.items())


def test_every_option_reaches_a_node() -> None:
    default = GraphOptions().flat()
    other = {"clock": "realtime", "rule": "worst", "density": "policy", "refine": "cem"}
    for name, value in default.items():
        changed = other.get(name, f"{value}x" if isinstance(value, str) else value + 1)
        base = default | ({"clock": "latency"} if name == "latency" else {})
        given, without = (GraphOptions.from_flat(base | extra) for extra in ({name: changed}, {}))
        assert sim_graph(given) != sim_graph(without), name


@pytest.mark.parametrize(
    ("clock", "latency"), [("lockstep", 0.1), ("realtime", 0.1), ("latency", -0.1), ("sundial", 0)]
)
def test_a_clock_that_cannot_be_is_refused_before_a_node_starts(clock: str, latency: float) -> None:
    with pytest.raises((VgpsError, UnknownNameError)):
        sim_graph(GraphOptions(clock=clock, latency=latency))


def test_every_setting_of_progress_reaches_its_node() -> None:
    default = flatten(ProgressOptions(estimator="learned+gvl"))
    other = {"estimator": "gvl"}
    for name, value in default.items():
        words = f"{value}x" if isinstance(value, str) else not value if isinstance(value, bool) else value + 1
        options = changed(ProgressOptions(), default | {name: other.get(name, words)})
        specs = {spec.name: spec.parameters for spec in served_graph(progress=options)}
        assert specs["progress_node"][name] != default[name], name


def test_an_evaluation_brings_up_only_what_acts() -> None:
    acting, served = ([spec.name for spec in graph] for graph in (sim_graph(), served_graph()))
    assert served == [*acting, "task_node", "progress_node"]
    assert [spec.name for spec in served_graph(progress=ProgressOptions("none"))] == [*acting, "task_node"]


def test_a_reward_is_followed_when_asked_for_and_needs_depth() -> None:
    graph = {spec.name: spec.parameters for spec in served_graph(GraphOptions(reward="runs/carrot.safetensors"))}
    assert list(graph)[-1] == "reward_node" and graph["sim_node"]["depth"] is True
    told = graph["reward_node"]
    assert (told["reward"], told["who"], told["camera"]) == ("runs/carrot.safetensors", "robot", "front")
    assert pose_of(str(told["camera_pose"]))[:3, 3].tolist() == list(CAMERAS[FRONT].position)
    assert "reward_node" not in [spec.name for spec in sim_graph(GraphOptions(reward="x"))]


def test_options_lead_back() -> None:
    options = GraphOptions(k=3, selection=Selection("softmax", beta=0.2), clock="realtime")
    assert GraphOptions.from_flat(options.flat()) == options


def test_unknown_clocks_and_rules_are_refused_before_anything_starts() -> None:
    with pytest.raises(UnknownNameError, match="lockstep"):
        GraphOptions(clock="sundial")
    with pytest.raises(UnknownNameError, match="softmax"):
        GraphOptions.from_flat({"rule": "best"})
