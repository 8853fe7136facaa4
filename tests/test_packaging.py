"""What is installed is what is imported, and every file that names a version or a package agrees with the others."""

from __future__ import annotations

import ast
import importlib.util
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path
from xml.etree import ElementTree

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
FLOORS = {"vgps_models": "models", "vgps_sim": "sim", "vgps_calibration": "calibration", "vgps_node": "vgps_node"}
# Where the name that is imported is not the name that is installed.
DISTRIBUTIONS = {
    "mcap_ros2": "mcap-ros2-support",
    "PIL": "pillow",
    "yaml": "pyyaml",
    "cv2": "opencv-contrib-python",
    "serial": "pyserial",
    "open_clip": "open-clip-torch",
}
# Come with ROS 2 beside the *_msgs packages; the last three only from a workstation.
ROS = {"rclpy", "rcl_interfaces", "std_srvs", "builtin_interfaces", "launch", "launch_ros", "tf2_ros"}
WORKSPACE = ROOT / "ros_ws" / "src"
PACKAGE, MESSAGES = WORKSPACE / "vgps", WORKSPACE / "vgps_msgs"
PACKAGE_FILES = [PACKAGE / "package.xml", MESSAGES / "package.xml", ROOT / "ros_ws/wheels/tf2_msgs/package.xml"]


def requirements() -> list[Requirement]:
    """Of the project and of all its extras, without the references to its own extras."""
    lines = [*PROJECT["dependencies"], *(line for extra in PROJECT["optional-dependencies"].values() for line in extra)]
    return [requirement for line in lines if (requirement := Requirement(line)).name != PROJECT["name"]]


def pins() -> dict[str, str]:
    lines = [line.partition("#")[0].strip() for line in (ROOT / "constraints.txt").read_text().splitlines()]
    return {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines if line)}


def depends(package_file: Path) -> set[str]:
    tree = ElementTree.parse(package_file)
    return {node.text or "" for node in tree.getroot() if node.tag in ("depend", "exec_depend", "buildtool_depend")}


def imported(folder: Path) -> dict[str, set[Path]]:
    """Top-level packages imported anywhere under a folder, with the files that do it."""
    found: dict[str, set[Path]] = {}
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                names = [alias.name for alias in node.names]
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            else:
                continue
            for name in names:
                found.setdefault(name.split(".")[0], set()).add(path)
    return found


@pytest.mark.parametrize("package", FLOORS)
def test_every_import_is_declared(package: str) -> None:
    declared = {canonicalize_name(requirement.name) for requirement in requirements()}
    for name, where in imported(ROOT / FLOORS[package] / package).items():
        if name in sys.stdlib_module_names or name in FLOORS or name in ROS or name.endswith("_msgs"):
            continue
        distribution = canonicalize_name(DISTRIBUTIONS.get(name, name))
        assert distribution in declared, f"{where} import {name}, but pyproject.toml does not ask for {distribution}"


def test_every_ros_import_is_in_package_xml() -> None:
    for name, where in imported(ROOT / "vgps_node" / "vgps_node").items():
        if name in ROS or name.endswith("_msgs"):
            lazy = name in ("tf2_msgs", "tf2_ros")  # published only where they exist
            assert lazy or name in depends(ROOT / "package.xml"), f"{where} import {name}; add it to package.xml"


def test_pins_lie_in_the_open_ranges() -> None:
    known = pins()
    for requirement in requirements():
        version = known.get(canonicalize_name(requirement.name))
        if version:
            assert requirement.specifier.contains(version), f"constraints.txt pins {version} outside `{requirement}`"


def test_ros_wheels_are_pinned_exactly() -> None:
    """They are community builds: an install must be the one that was tried."""
    loose = [r.name for r in requirements() if r.name.startswith("ros-") and canonicalize_name(r.name) not in pins()]
    assert not loose, f"constraints.txt does not pin {loose}"


def test_the_core_stays_small() -> None:
    """A machine with only an arm needs no torch; one that only trains needs neither ROS nor MuJoCo."""
    heavy = {"torch", "mujoco", "gymnasium", "pyarrow", "av"}
    core = {Requirement(line).name for line in PROJECT["dependencies"]}
    assert not {name for name in core if name in heavy or name.startswith("ros-")}


@pytest.mark.parametrize("path", PACKAGE_FILES, ids=lambda path: path.parent.name)
def test_package_files_agree_with_the_project(path: Path) -> None:
    tree = ElementTree.parse(path).getroot()
    maintainer = tree.find("maintainer")
    assert tree.findtext("version") == PROJECT["version"]
    assert tree.findtext("license") == PROJECT["license"]["text"] == "Apache-2.0"
    assert maintainer is not None and re.fullmatch(r"[^@\s]+@[^@\s]+\.[a-z]+", maintainer.get("email", ""))


def test_interfaces_use_only_declared_packages() -> None:
    cmake = (MESSAGES / "CMakeLists.txt").read_text()
    for path in sorted(MESSAGES.glob("*/*.*")):
        lines = [line.partition("#")[0] for line in path.read_text().splitlines()]
        for package in {match for line in lines for match in re.findall(r"^\s*([a-z_0-9]+)/[A-Z]", line)}:
            assert package in depends(MESSAGES / "package.xml"), f"{path.name} uses {package}; add it to package.xml"
            assert f"find_package({package} " in cmake, f"{path.name} uses {package}; add it to CMakeLists.txt"


@pytest.mark.parametrize("script", sorted(p.name for p in (ROOT / "vgps_node" / "scripts").iterdir() if p.is_file()))
def test_node_scripts_start_something_that_exists(script: str) -> None:
    path = ROOT / "vgps_node" / "scripts" / script
    assert path.stat().st_mode & 0o111, f"{script} is not executable"
    module = ROOT / "vgps_node" / "vgps_node" / f"{script}.py"
    names = {node.name for node in ast.parse(module.read_text()).body if isinstance(node, ast.FunctionDef)}
    assert f"from vgps_node.{script} import main" in path.read_text() and "main" in names


def test_console_script_exists() -> None:
    module, _, function = PROJECT["scripts"]["vgps"].partition(":")
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin is not None
    assert re.search(rf"^def {function}\b", Path(spec.origin).read_text(), re.MULTILINE)


def test_the_wheel_carries_everything(tmp_path: Path) -> None:
    """Built from a copy: sources, an ament package's files, launch files, the licence, and nothing else on top."""
    source = tmp_path / "source"
    source.mkdir()
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for folder in (*FLOORS.values(), "launch", "ros_ws/resource"):
        shutil.copytree(ROOT / folder, source / folder, ignore=ignore)
    for name in ("pyproject.toml", "setup.py", "package.xml", "LICENSE", "README.md"):
        if (ROOT / name).exists():
            shutil.copy(ROOT / name, source)
    command = [
        sys.executable,
        "-m",
        "pip",
        "wheel",
        "--quiet",
        "--no-deps",
        "--no-build-isolation",
        "-w",
        str(tmp_path),
    ]
    done = subprocess.run([*command, str(source)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    (wheel,) = tmp_path.glob("vgps-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    info = f"vgps-{PROJECT['version']}"
    assert {name.split("/")[0] for name in names} == {*FLOORS, f"{info}.data", f"{info}.dist-info"}
    data = {name.removeprefix(f"{info}.data/data/") for name in names if name.startswith(f"{info}.data/data/")}
    assert {"share/vgps/package.xml", "share/ament_index/resource_index/packages/vgps", "lib/vgps/sim_node"} <= data
    assert {f"share/vgps/launch/{p.name}" for p in (ROOT / "launch").glob("*.launch.py")} <= data
    assert {f"share/vgps/launch/config/{p.name}" for p in (ROOT / "launch" / "config").iterdir()} <= data
    expected = {
        str(p.relative_to(ROOT / folder)) for folder in FLOORS.values() for p in (ROOT / folder).rglob("*/*.py")
    }
    assert expected <= set(names)
    shipped = ROOT / "models" / "vgps_models" / "checkpoints"
    weights = {
        f"vgps_models/checkpoints/{p.name}" for p in shipped.glob("*.*") if p.suffix in (".json", ".safetensors")
    }
    assert weights <= set(names)
