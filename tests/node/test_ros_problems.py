"""Variables that keep ROS 2 from working are named with their cure, and no node ends in a message of a C library."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vgps_node import ros_environment, ros_problems
from vgps_node.ros_problems import Problem, RosEnvironmentError, check, problems

VERSION = f"python{sys.version_info[0]}.{sys.version_info[1]}"


@pytest.fixture
def ours(tmp_path: Path) -> dict[str, str]:
    """An environment with one middleware in its index."""
    index = tmp_path / "ros" / "share" / "ament_index" / "resource_index" / "rmw_typesupport"
    index.mkdir(parents=True)
    for name in ("rmw_fastrtps_cpp", "rmw_implementation"):
        (index / name).touch()
    return {"AMENT_PREFIX_PATH": os.pathsep.join([str(tmp_path / "nothing"), str(tmp_path / "ros")])}


def found(environment: dict[str, str]) -> list[tuple[str, str]]:
    return [(problem.variable, problem.state) for problem in problems(environment)]


def test_a_sound_environment_has_no_problem(ours: dict[str, str], tmp_path: Path) -> None:
    profile = tmp_path / "profile.xml"
    profile.write_text("<profiles/>", encoding="utf-8")
    sound = {
        "RMW_IMPLEMENTATION": "rmw_fastrtps_cpp", "ROS_DOMAIN_ID": "42", "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET",
        "ROS_LOCALHOST_ONLY": "0", "FASTRTPS_DEFAULT_PROFILES_FILE": str(profile), "PYTHONPATH": str(tmp_path),
    }  # fmt: skip
    assert problems(ours | sound) == problems(ours) == problems({}) == []
    check(ours | sound)


@pytest.mark.parametrize("name", ["rmw_cyclonedds_cpp", "rmw_fastrtps", "rmw_implementation", " rmw_fastrtps_cpp"])
def test_a_middleware_that_is_not_installed(ours: dict[str, str], name: str) -> None:
    environment = ours | {"RMW_IMPLEMENTATION": name}
    (problem,) = problems(environment)
    assert problem.fatal and "installed: rmw_fastrtps_cpp" in problem.detail and "unset RMW" in problem.mend
    with pytest.raises(RosEnvironmentError, match=f"RMW_IMPLEMENTATION={name} is not installed"):
        check(environment)
    check({"RMW_IMPLEMENTATION": name})  # nothing is known of what is installed


@given(st.integers(-500, 500) | st.text(st.characters(exclude_characters="\0"), min_size=1, max_size=5))
def test_a_domain_is_a_number_that_has_ports(value: int | str) -> None:
    text = str(value)
    sound = text.isascii() and text.isdigit() and int(text) <= 232
    states = [(problem.state, problem.fatal) for problem in problems({"ROS_DOMAIN_ID": text})]
    assert states == (
        [] if sound and not 101 < int(text) < 215 else [("note", False)] if sound else [("missing", True)]
    )


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "OFF"}, [("ROS_AUTOMATIC_DISCOVERY_RANGE", "missing")]),
        ({"ROS_AUTOMATIC_DISCOVERY_RANGE": "localhost"}, [("ROS_AUTOMATIC_DISCOVERY_RANGE", "note")]),
        ({"ROS_LOCALHOST_ONLY": "true"}, [("ROS_LOCALHOST_ONLY", "note")]),
        ({"ROS_LOCALHOST_ONLY": "1", "ROS_AUTOMATIC_DISCOVERY_RANGE": "SUBNET"}, [("ROS_LOCALHOST_ONLY", "note")]),
        ({"ROS_LOCALHOST_ONLY": "1"}, []),
        ({"FASTRTPS_DEFAULT_PROFILES_FILE": "/nothing.xml"}, [("FASTRTPS_DEFAULT_PROFILES_FILE", "missing")]),
        ({"FASTDDS_DEFAULT_PROFILES_FILE": "/"}, [("FASTDDS_DEFAULT_PROFILES_FILE", "missing")]),
        ({"FASTDDS_DEFAULT_PROFILES_FILE": __file__}, [("FASTDDS_DEFAULT_PROFILES_FILE", "missing")]),
        ({"FASTDDS_DEFAULT_PROFILES_FILE": "/x", "RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}, []),
        ({"CYCLONEDDS_URI": "file:///nothing.xml"}, [("CYCLONEDDS_URI", "note")]),
        ({"CYCLONEDDS_URI": "/no.xml", "RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}, [("CYCLONEDDS_URI", "missing")]),
        ({"CYCLONEDDS_URI": "<CycloneDDS/>", "RMW_IMPLEMENTATION": "rmw_cyclonedds_cpp"}, []),
        ({"AMENT_PREFIX_PATH": "/opt/ros/iron:/opt/ros/jazzy", "ROS_DISTRO": "jazzy"}, [("AMENT_PREFIX_PATH", "note")]),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_variable(environment: dict[str, str], expected: list[tuple[str, str]]) -> None:
    assert found(environment) == expected
    assert all(problem.mend and problem.variable in problem.detail for problem in problems(environment))


def test_a_sourced_ros_of_another_distribution(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ros_problems, "wheels_distribution", lambda: "jazzy")
    (problem,) = problems({"ROS_DISTRO": "humble"})
    assert problem.variable == "ROS_DISTRO" and "humble" in problem.detail and "jazzy" in problem.detail
    monkeypatch.setattr(ros_problems, "wheels_distribution", lambda: "")
    assert problems({"ROS_DISTRO": "humble", "AMENT_PREFIX_PATH": "/opt/ros/humble"}) == []


def test_packages_that_pythonpath_puts_first(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    other, same, harmless = (tmp_path / name for name in ("ros/lib/python3.2/site-packages", "same", "harmless"))
    for folder, package in ((other, "rclpy"), (same, "numpy"), (harmless, "mine")):
        (folder / package).mkdir(parents=True)
        (folder / package / "__init__.py").touch()
    monkeypatch.setattr(ros_problems, "wheels_distribution", lambda: "jazzy")
    path = os.pathsep.join(["", str(harmless), str(same), str(other), str(tmp_path / "nothing")])
    numpy, rclpy = problems({"PYTHONPATH": path})
    assert numpy.state == "note" and "numpy" in numpy.detail and str(same) in numpy.detail
    assert rclpy.state == "missing" and "python3.2" in rclpy.detail and VERSION in rclpy.detail
    checkout = Path(ros_problems.__file__).parents[2]
    assert problems({"PYTHONPATH": os.pathsep.join([str(checkout / "models"), str(checkout / "sim")])}) == []
    monkeypatch.setattr(ros_problems, "wheels_distribution", lambda: "")  # a sourced ROS is on PYTHONPATH rightly
    assert problems({"PYTHONPATH": str(same)}) == []


@given(st.dictionaries(st.sampled_from([
    "RMW_IMPLEMENTATION", "ROS_DOMAIN_ID", "ROS_LOCALHOST_ONLY", "ROS_AUTOMATIC_DISCOVERY_RANGE", "CYCLONEDDS_URI",
    "FASTRTPS_DEFAULT_PROFILES_FILE", "ROS_DISTRO", "AMENT_PREFIX_PATH", "PYTHONPATH",
]), st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=12)))  # fmt: skip
def test_whatever_the_variables_hold_is_judged(environment: dict[str, str]) -> None:
    for problem in problems(environment):
        assert isinstance(problem, Problem) and problem.state in ("missing", "note") and problem.mend


@pytest.mark.parametrize(
    ("name", "value"),
    [("RMW_IMPLEMENTATION", "rmw_nothing_cpp"), ("ROS_DOMAIN_ID", "abc"), ("ROS_DOMAIN_ID", "1000")],
)
def test_a_node_ends_in_one_sentence(name: str, value: str) -> None:
    if name.startswith("RMW") and not ros_problems.installed_middlewares(
        os.environ | {"AMENT_PREFIX_PATH": sys.prefix}
    ):
        pytest.skip("no index of middlewares here")
    node = subprocess.run(
        [sys.executable, "-m", "vgps_node.gate_node"], env=os.environ | {name: value}, capture_output=True,
        encoding="utf-8", timeout=60,
    )  # fmt: skip
    assert node.returncode == 1 and node.stdout == ""
    (line,) = node.stderr.strip().splitlines()
    assert line.startswith(f"error: {name}={value}") and "To mend it: " in line


def test_what_needs_no_ros_works_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", "abc")
    ros_environment.prepare()
    code = "import vgps_node.cli, sys; sys.exit(vgps_node.cli.main(['--help']))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=60).returncode == 0
    broken = "import vgps_node\ntry:\n    import rclpy\nexcept Exception as e:\n    print(type(e).__name__)\n1 / 0"
    done = subprocess.run([sys.executable, "-c", broken], capture_output=True, encoding="utf-8", timeout=60)
    assert done.stdout.strip() == "RosEnvironmentError" and "ZeroDivisionError" in done.stderr.splitlines()[-1]
