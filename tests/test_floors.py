"""The floors of the house: each package imports only what is below it (docs/architecture.md)."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FLOORS = {"vgps_models": "models", "vgps_sim": "sim", "vgps_calibration": "calibration", "vgps_node": "vgps_node"}
# Of vgps_models: what every machine can import.
GROUND = ("__init__.py", "spaces.py", "errors.py", "limits.py", "resources.py", "contract.py")
GROUND_LIBRARIES = {"numpy", "yaml"}
ROS = {"rclpy", "launch", "launch_ros", "ament_index_python", "rcl_interfaces", "builtin_interfaces", "std_srvs"}
LONGEST = 400  # lines


@dataclass(frozen=True)
class Import:
    """One imported module. late: inside a function, so that it happens only when needed."""

    file: Path
    line: int
    module: str
    late: bool
    typing_only: bool

    def __str__(self) -> str:
        return f"{self.file.relative_to(ROOT)}:{self.line} imports {self.module}"

    @property
    def package(self) -> str:
        return self.module.split(".")[0]


def is_ros(package: str) -> bool:
    return package in ROS or package.endswith("_msgs")


def files(package: str) -> list[Path]:
    return sorted((ROOT / FLOORS[package] / package).rglob("*.py"))


def imports(path: Path) -> list[Import]:
    """Every import statement of a file, wherever it stands; relative ones are made absolute."""
    parts = path.relative_to(ROOT).with_suffix("").parts[1:]  # without the folder of the floor
    home = list(parts[:-1])

    def walk(node: ast.AST, late: bool, typing_only: bool) -> Iterator[Import]:
        for child in ast.iter_child_nodes(node):
            names: list[str] = []
            if isinstance(child, ast.Import):
                names = [alias.name for alias in child.names]
            elif isinstance(child, ast.ImportFrom):
                base = home[: len(home) - child.level + 1] if child.level else []
                module = ".".join([*base, *([child.module] if child.module else [])])
                names = [f"{module}.{alias.name}" for alias in child.names]
            yield from (Import(path, child.lineno, name, late, typing_only) for name in names)  # type: ignore[attr-defined]
            inside = isinstance(child, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
            types = isinstance(child, ast.If) and "TYPE_CHECKING" in ast.unparse(child.test)
            yield from walk(child, late or inside, typing_only or types)

    return list(walk(ast.parse(path.read_text(), str(path)), late=False, typing_only=False))


def refuse(wrong: list[Import], rule: str) -> None:
    assert not wrong, f"{rule}:\n" + "\n".join(f"  {item}" for item in wrong)


@pytest.mark.parametrize("package", FLOORS)
def test_a_package_imports_only_what_is_below_it(package: str) -> None:
    order = list(FLOORS)
    above = set(order[order.index(package) + 1 :])
    found = [item for path in files(package) for item in imports(path)]
    refuse([i for i in found if i.package in above], f"{package} stands below {sorted(above)} and must not know them")


@pytest.mark.parametrize("package", [name for name in FLOORS if name != "vgps_node"])
def test_only_vgps_node_knows_ros(package: str) -> None:
    found = [item for path in files(package) for item in imports(path)]
    refuse([i for i in found if is_ros(i.package)], "ROS is imported in vgps_node alone; pass plain data down instead")


@pytest.mark.parametrize("package", ["vgps_sim", "vgps_calibration"])
def test_torch_stays_in_vgps_models(package: str) -> None:
    found = [item for path in files(package) for item in imports(path)]
    refuse([i for i in found if i.package == "torch"], "torch is imported in vgps_models alone; take a Controller")


def test_nodes_import_torch_only_when_they_own_a_model() -> None:
    found = [item for path in files("vgps_node") for item in imports(path)]
    refuse(
        [i for i in found if i.package == "torch" and not i.late], "a node imports torch inside the function needing it"
    )


def test_the_ground_floor_needs_next_to_nothing() -> None:
    folder = ROOT / FLOORS["vgps_models"] / "vgps_models"
    ground = {f"vgps_models.{Path(name).stem}" for name in GROUND}
    allowed = GROUND_LIBRARIES | set(sys.stdlib_module_names) | {"vgps_models"}
    found = [item for name in GROUND for item in imports(folder / name)]
    refuse([i for i in found if i.package not in allowed], f"the ground floor imports only {sorted(GROUND_LIBRARIES)}")
    upward = [i for i in found if i.package == "vgps_models" and ".".join(i.module.split(".")[:2]) not in ground]
    refuse(upward, f"the ground floor knows only itself ({', '.join(GROUND)})")


def test_no_file_imports_in_a_circle() -> None:
    known = {module_name(path): path for package in FLOORS for path in files(package)}
    graph: dict[str, set[str]] = {}
    for name, path in known.items():
        early = [i.module for i in imports(path) if not i.late and not i.typing_only]
        # `from a import b` names module a.b or something in a.
        targets = {module if module in known else module.rpartition(".")[0] for module in early}
        graph[name] = {target for target in targets if target in known and target != name}
    assert not (circle := find_circle(graph)), f"these files import each other in a circle: {' -> '.join(circle)}"


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts[1:]
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def find_circle(graph: dict[str, set[str]]) -> list[str]:
    """One circle of the graph, its first node repeated at the end; empty when there is none."""
    done: set[str] = set()

    def visit(node: str, trail: list[str]) -> list[str]:
        if node in trail:
            return [*trail[trail.index(node) :], node]
        if node in done:
            return []
        for target in sorted(graph[node]):
            if circle := visit(target, [*trail, node]):
                return circle
        done.add(node)
        return []

    return next((circle for node in sorted(graph) if (circle := visit(node, []))), [])


def test_find_circle_finds_one() -> None:
    assert find_circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert find_circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_simulator_and_ground_floor_run_without_torch_and_ros() -> None:
    """What the imports say, tried: every module of vgps_sim in a fresh interpreter."""
    below = [module_name(path) for package in ("vgps_sim", "vgps_calibration") for path in files(package)]
    modules = ["vgps_models.spaces", "vgps_models.contract", *below]
    code = (
        "import importlib, sys\n"
        f"for name in {[m for m in modules if not m.endswith('__main__')]!r}:\n"
        "    importlib.import_module(name)\n"
        "    loaded = {'torch', 'rclpy'} & set(sys.modules)\n"
        "    assert not loaded, f'importing {name} loads {loaded}'\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr.strip().splitlines()[-1]


@pytest.mark.parametrize("package", FLOORS)
def test_nothing_is_pickled(package: str) -> None:
    banned = {"pickle", "cloudpickle", "dill", "shelve", "joblib"}
    found = [item for path in files(package) for item in imports(path)]
    refuse(
        [i for i in found if i.package in banned],
        "a pickle runs code when it is read; use safetensors, JSON or Parquet",
    )


@pytest.mark.parametrize("package", FLOORS)
def test_a_file_is_a_room_with_one_purpose(package: str) -> None:
    long = {str(p.relative_to(ROOT)): n for p in files(package) if (n := len(p.read_text().splitlines())) > LONGEST}
    assert not long, f"files over {LONGEST} lines, split them by purpose: {long}"
