"""What is set before rclpy is imported, and what is taken away before another Python is started."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgps_models.errors import MissingDependencyError
from vgps_node import ros_environment as ros

NAMES = ("AMENT_PREFIX_PATH", ros.DISCOVERY_VARIABLE, *ros.PROFILE_VARIABLES, "LD_LIBRARY_PATH", ros.WHEELS_GUARD)


def test_an_empty_environment_is_completed() -> None:
    environment: dict[str, str] = {}
    ros.complete(environment)
    assert environment["AMENT_PREFIX_PATH"] == sys.prefix
    assert environment[ros.DISCOVERY_VARIABLE] == "LOCALHOST"
    assert all(Path(environment[name]).name == "fastdds.xml" for name in ros.PROFILE_VARIABLES)


@given(st.dictionaries(st.sampled_from(NAMES), st.text("abc/", min_size=1)))
def test_what_the_user_set_stays(chosen: dict[str, str]) -> None:
    environment = dict(chosen)
    ros.complete(environment)
    for name, value in chosen.items():
        kept = environment[name].split(os.pathsep)
        assert value in kept and (name == "AMENT_PREFIX_PATH" or len(kept) == 1)
    once = dict(environment)
    ros.complete(environment)
    assert environment == once


def test_a_graph_over_several_machines_is_not_cut_off() -> None:
    environment = {ros.DISCOVERY_VARIABLE: "SUBNET"}
    ros.complete(environment)
    assert not set(ros.PROFILE_VARIABLES) & set(environment)


def test_our_packages_come_before_those_of_another_workspace() -> None:
    environment = {"AMENT_PREFIX_PATH": "/opt/ros/jazzy"}
    ros.complete(environment)
    assert environment["AMENT_PREFIX_PATH"] == os.pathsep.join([sys.prefix, "/opt/ros/jazzy"])


def test_the_profile_holds_an_image_and_stays_on_this_machine() -> None:
    tree = ElementTree.parse(ros.launch_file("config", "fastdds.xml"))
    values = {node.tag.rpartition("}")[2]: node.text for node in tree.iter()}
    assert int(values["maxMessageSize"] or 0) >= 4 * 640 * 480
    assert int(values["segment_size"] or 0) >= 2 * int(values["maxMessageSize"] or 0)
    assert values["useBuiltinTransports"] == "false" and values["address"] == "127.0.0.1"


def test_another_python_starts_clean() -> None:
    lib = str(Path(sys.prefix) / "lib")
    environment = {
        ros.WHEELS_GUARD: "1",
        "LD_LIBRARY_PATH": f"{lib}:/usr/lib",
        "AMENT_PREFIX_PATH": sys.prefix,
        "A": "b",
    }
    assert ros.foreign_environment(environment) == {"LD_LIBRARY_PATH": "/usr/lib", "A": "b"}


def test_a_launch_file_that_is_not_there_is_named() -> None:
    with pytest.raises(MissingDependencyError, match=r"config/nothing\.yaml"):
        ros.launch_file("config", "nothing.yaml")
