"""What is installed is what is imported, and every file that names a version or a package agrees with the others."""

from __future__ import annotations

import ast
import importlib.util
import os
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
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
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
# Come with ROS 2 beside the *_msgs packages.
ROS = {"ament_index_python", "rclpy", "rcl_interfaces", "std_srvs", "builtin_interfaces", "launch", "launch_ros"}
# Keys of rosdep that name a package of the distribution. Keys that end in -pip install into the system's Python.
ROSDEP_KEYS = {
    "jinja2": "python3-jinja2",
    "numpy": "python3-numpy",
    "PIL": "python3-pil",
    "rich": "python3-rich",
    "scipy": "python3-scipy",
    "yaml": "python3-yaml",
}
WORKSPACE = ROOT / "ros_ws" / "src"
PACKAGE, MESSAGES = WORKSPACE / "vgps", WORKSPACE / "vgps_msgs"
PACKAGE_FILES = [PACKAGE / "package.xml", MESSAGES / "package.xml", ROOT / "ros_ws/wheels/tf2_msgs/package.xml"]


def requirements() -> list[Requirement]:
    """Of the project and of all its extras, without the references to its own extras."""
    lines = [*PROJECT["dependencies"], *(line for extra in PROJECT["optional-dependencies"].values() for line in extra)]
    return [requirement for line in lines if (requirement := Requirement(line)).name != PROJECT["name"]]


def pins() -> dict[str, str]:
    lines = [
        line.partition("#")[0].strip() for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    ]
    return {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines if line)}


def depends(package_file: Path) -> set[str]:
    tree = ElementTree.parse(package_file)
    return {node.text or "" for node in tree.getroot() if node.tag in ("depend", "exec_depend", "buildtool_depend")}


def imported(folder: Path) -> dict[str, set[Path]]:
    """Top-level packages imported anywhere under a folder, with the files that do it."""
    found: dict[str, set[Path]] = {}
    for path in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
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


def test_package_xml_names_what_is_imported_and_no_more() -> None:
    """ROS packages by the imports of nodes and launch files, Python libraries by those that distributions package."""
    ros = {name: where for name, where in imported(ROOT / "vgps_node" / "vgps_node").items() if is_ros(name)}
    ros |= {name: where for name, where in imported(ROOT / "launch").items() if is_ros(name)}
    libraries = {name for folder in FLOORS.items() for name in imported(ROOT / folder[1] / folder[0])}
    expected = set(ros) | {key for name, key in ROSDEP_KEYS.items() if name in libraries} | {"ros2launch"}
    assert depends(PACKAGE / "package.xml") == expected


def is_ros(name: str) -> bool:
    return name in ROS or name.endswith("_msgs")


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


def test_the_extra_that_is_named_installs_the_library() -> None:
    from vgps_node.extras import EXTRAS

    extras = PROJECT["optional-dependencies"]
    for module, extra in EXTRAS.items():
        wanted = {Requirement(line).name for line in extras[extra]}
        names = {DISTRIBUTIONS.get(module, module.replace("_", "-")), f"ros-jazzy-{module}"}
        assert names & wanted, f"the extra '{extra}' does not install {module}"


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
    cmake = (MESSAGES / "CMakeLists.txt").read_text(encoding="utf-8")
    for path in sorted(MESSAGES.glob("*/*.*")):
        lines = [line.partition("#")[0] for line in path.read_text(encoding="utf-8").splitlines()]
        for package in {match for line in lines for match in re.findall(r"^\s*([a-z_0-9]+)/[A-Z]", line)}:
            assert package in depends(MESSAGES / "package.xml"), f"{path.name} uses {package}; add it to package.xml"
            assert f"find_package({package} " in cmake, f"{path.name} uses {package}; add it to CMakeLists.txt"


def scripts() -> list[Path]:
    return sorted(path for path in (ROOT / "vgps_node" / "scripts").iterdir() if path.is_file())


@pytest.mark.parametrize("script", scripts(), ids=lambda path: path.name)
def test_scripts_start_a_module_that_exists(script: Path) -> None:
    assert script.stat().st_mode & 0o111, f"{script.name} is not executable"
    assert script.read_text(encoding="utf-8") == (script.parent / "vgps").read_text(encoding="utf-8"), (
        "all scripts are links to one file"
    )
    module = ROOT / "vgps_node" / "vgps_node" / ("cli.py" if script.name == "vgps" else f"{script.name}.py")
    names = {
        node.name for node in ast.parse(module.read_text(encoding="utf-8")).body if isinstance(node, ast.FunctionDef)
    }
    assert "main" in names


def start_script(prefix: Path, name: str, **environment: str) -> subprocess.CompletedProcess[str]:
    (prefix / "lib" / "vgps").mkdir(parents=True, exist_ok=True)
    script = prefix / "lib" / "vgps" / name
    if not script.exists():
        script.symlink_to(ROOT / "vgps_node" / "scripts" / name)
    clean = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "")}
    return subprocess.run([script, "--help"], capture_output=True, encoding="utf-8", env=clean | environment)


def fake_python(path: Path) -> Path:
    """A program that prints its path and what it was given."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\necho {path} "$@"\n', encoding="utf-8")
    path.chmod(0o755)
    return path


def test_a_script_runs_under_the_python_that_has_vgps(tmp_path: Path) -> None:
    """VGPS_PYTHON, then the environment that the script lies in, then the active one, then python3."""
    prefix, named = tmp_path / "with space", fake_python(tmp_path / "named")
    on_path = fake_python(tmp_path / "bin" / "python3")
    active = fake_python(tmp_path / "active" / "bin" / "python3")
    path = f"{on_path.parent}:{os.environ['PATH']}"
    script = prefix / "lib" / "vgps" / "gate_node"
    assert start_script(prefix, "gate_node", PATH=path).stdout == f"{on_path} {script} --help\n"
    assert str(active) in start_script(prefix, "gate_node", PATH=path, VIRTUAL_ENV=str(tmp_path / "active")).stdout
    own = prefix / "bin" / "python3"
    own.parent.mkdir()
    own.symlink_to(fake_python(tmp_path / "own"))
    (prefix / "pyvenv.cfg").touch()
    found = start_script(prefix, "gate_node", PATH=path, VIRTUAL_ENV=str(tmp_path / "active")).stdout
    assert found == f"{tmp_path / 'own'} {script} --help\n"
    assert str(named) in start_script(prefix, "gate_node", VGPS_PYTHON=str(named)).stdout


def test_a_script_says_which_python_lacks_which_module(tmp_path: Path) -> None:
    done = start_script(tmp_path, "describe_graph", VGPS_PYTHON=str(Path(sys.base_prefix) / "bin" / "python3"))
    assert done.returncode == 1 and "Traceback" not in done.stderr
    assert "has no module vgps_node" in done.stderr and "VGPS_PYTHON" in done.stderr
    done = start_script(tmp_path, "vgps", VGPS_PYTHON=sys.executable)
    assert done.returncode == 0 and done.stdout.startswith("usage: vgps COMMAND")


def test_colcon_finds_both_packages_and_can_read_their_metadata(tmp_path: Path) -> None:
    """As colcon does: no package above another, setup.py run in its folder, its data read back by literal_eval."""
    known = ["git", "-C", str(ROOT), "ls-files", "*package.xml"]
    listed = subprocess.run(known, capture_output=True, encoding="utf-8", check=True).stdout.split()
    found = [(ROOT / path).parent for path in listed]
    ignored = [path.parent for path in (ROOT / "ros_ws").rglob("COLCON_IGNORE")]
    packages = [path for path in found if not any(path.is_relative_to(folder) for folder in ignored)]
    assert sorted(packages) == [PACKAGE, MESSAGES]
    for folder in (ROOT, WORKSPACE, ROOT / "ros_ws"):
        assert not (folder / "setup.py").exists() and not (folder / "package.xml").exists()
    code = (
        "from distutils.core import run_setup\n"
        "dist = run_setup('setup.py', script_args=['--dry-run'], stop_after='config')\n"
        "skip = ('cmdclass', 'distclass', 'ext_modules', 'metadata')\n"
        "data = {k: v for k, v in vars(dist).items() if k[0] != '_' and not callable(v) and k not in skip}\n"
        "skip = ('license_files', 'provides_extras')\n"
        "data['metadata'] = {k: v for k, v in vars(dist.metadata).items() if k not in skip}\n"
        "print(repr({k: v for k, v in data.items() if k not in dist.display_option_names}))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", f"import setuptools\n{code}"], cwd=PACKAGE, capture_output=True, encoding="utf-8"
    )
    assert done.returncode == 0, done.stderr
    data = ast.literal_eval(done.stdout)
    assert data["metadata"]["name"] == "vgps" and data["metadata"]["version"] == PROJECT["version"]
    assert {name.split(".")[0] for name in data["packages"]} == set(FLOORS)
    assert {"vgps_models.data", "vgps_node.commands"} <= set(data["packages"])
    carried = {f"{target}/{Path(source).name}" for target, sources in data["data_files"] for source in sources}
    assert set(ament_files()) <= carried and "bin/vgps" in carried
    for sources in dict(data["data_files"]).values():
        assert all((PACKAGE / source).is_file() for source in sources)
    for package, patterns in project_package_data().items():
        folder = PACKAGE / package
        matched = {path for pattern in data["package_data"][package] for path in folder.glob(pattern)}
        assert matched == {path for pattern in patterns for path in folder.glob(pattern) if path.is_file()}


def ament_files() -> dict[str, Path]:
    """Where the files of the ament package go in a prefix."""
    files = {
        f"share/vgps/launch/{p.relative_to(ROOT / 'launch')}": p for p in (ROOT / "launch").rglob("*") if p.is_file()
    }
    files = {place: path for place, path in files.items() if "__pycache__" not in place}
    files |= {f"lib/vgps/{path.name}": path for path in scripts()}
    files["share/vgps/package.xml"] = PACKAGE / "package.xml"
    files["share/ament_index/resource_index/packages/vgps"] = PACKAGE / "resource" / "vgps"
    return files


def project_package_data() -> dict[str, list[str]]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["setuptools"]["package-data"]


def test_console_script_exists() -> None:
    module, _, function = PROJECT["scripts"]["vgps"].partition(":")
    spec = importlib.util.find_spec(module)
    assert spec is not None and spec.origin is not None
    assert re.search(rf"^def {function}\b", Path(spec.origin).read_text(encoding="utf-8"), re.MULTILINE)


def test_the_wheel_carries_everything(tmp_path: Path) -> None:
    """Built from a copy: sources, an ament package's files, launch files, the licence, and nothing else on top."""
    source = tmp_path / "source"
    source.mkdir()
    ignore = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for folder in (*FLOORS.values(), "launch", "ros_ws/src/vgps"):
        shutil.copytree(ROOT / folder, source / folder, ignore=ignore, symlinks=folder.startswith("ros_ws"))
    for name in ("pyproject.toml", "LICENSE", "README.md"):
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
    done = subprocess.run([*command, str(source)], capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr[-2000:]
    (wheel,) = tmp_path.glob("vgps-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    info = f"vgps-{PROJECT['version']}"
    assert {name.split("/")[0] for name in names} == {*FLOORS, f"{info}.data", f"{info}.dist-info"}
    data = {name.removeprefix(f"{info}.data/data/") for name in names if name.startswith(f"{info}.data/data/")}
    assert data == set(ament_files())
    expected = {
        str(p.relative_to(ROOT / folder)) for folder in FLOORS.values() for p in (ROOT / folder).rglob("*/*.py")
    }
    assert expected <= set(names)
    shipped = ROOT / "models" / "vgps_models" / "checkpoints"
    weights = {
        f"vgps_models/checkpoints/{p.name}" for p in shipped.glob("*.*") if p.suffix in (".json", ".safetensors")
    }
    assert weights <= set(names)
