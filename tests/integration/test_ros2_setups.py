"""The three set-ups of docs/how-to/ros2-launch.md, typed as they stand there, with the real ros2, launch and colcon.

    VGPS_SETUPS=/tmp/setups .venv/bin/python -m pytest tests/integration/test_ros2_setups.py -m evidence -s

Each set-up gets a clone of the last commit in its own folder and is made by the commands of the page, which takes
minutes and a few gigabytes; a second run uses what is there. VGPS_SETUPS: where they lie. VGPS_ROS_SETUP: setup file of
an installed ROS 2, otherwise one of /opt/ros. VGPS_COLCON_BIN: folder of colcon, where it is not on PATH. VGPS_STOPS:
how often each kind of stop is tried (3).
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from vgps_node.domain import own_domain

pytestmark = [pytest.mark.evidence, pytest.mark.timeout(5400)]
ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "how-to" / "ros2-launch.md"
STOPS = int(os.environ.get("VGPS_STOPS", "3"))
MARK = "VGPS_SETUP_TEST"  # a variable by which everything that a launch started is found
WITHIN = 5.0  # [s] in which no process may be left
GOAL = "\"{instruction: 'put the spoon on the towel', seed: 1000000, time_limit: 12.0}\""


def installed_ros() -> Path | None:
    chosen = os.environ.get("VGPS_ROS_SETUP")
    found = [Path(chosen)] if chosen else sorted(Path("/opt/ros").glob("*/setup.bash"))
    return next((path for path in found if path.is_file()), None)


def block(letter: str) -> list[str]:
    """The commands of a set-up as the page has them."""
    match = re.search(rf"^## {letter}\. .*?^```\n(.*?)^```", PAGE.read_text(encoding="utf-8"), re.S | re.M)
    assert match is not None
    return [line.partition("#")[0].strip() for line in match[1].splitlines()]


@dataclass
class SetUp:
    """shell: what is typed in every new terminal before `ros2`."""

    name: str
    folder: Path
    lines: list[str]
    shell: list[str] = field(default_factory=list)

    def make(self) -> None:
        """Type all lines but the launch itself."""
        commit = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=ROOT, capture_output=True, encoding="utf-8", check=True
        )
        self.shell = [line for line in self.lines if line.startswith(("source ", "cd "))]
        self.shell = [*(f"cd {w[1]}" for line in self.lines if len(w := line.split("&& cd ")) > 1), *self.shell]
        self.shell.sort(key=lambda line: not line.startswith(("cd", "source /opt")))
        typed = []
        for line in self.lines[:-1]:
            if line.startswith("git clone"):
                target, *rest = line.split()[3:]
                update = f"git -C {target} fetch -q {ROOT} && git -C {target} checkout -q {commit.stdout.strip()}"
                line = f"([ -d {target} ] || git clone -q {ROOT} {target}) && {update} {' '.join(rest)}"
            typed.append(line)
        log = self.folder / "setup.log"
        with log.open("w", encoding="utf-8") as out:
            done = self.run("\n".join(typed), stdout=out, stderr=subprocess.STDOUT, prepare=False)
        assert done.returncode == 0, f"{log}:\n{log.read_text(encoding='utf-8', errors='replace')[-3000:]}"

    def run(self, command: str, *, prepare: bool = True, **options) -> subprocess.CompletedProcess[str]:
        """Run a command in a new terminal."""
        return subprocess.run(
            self.typed(command, prepare), env=self.environment(), cwd=self.folder, encoding="utf-8", **options
        )

    def start(self, command: str, log: Path, **variables: str) -> subprocess.Popen[str]:
        with log.open("w", encoding="utf-8") as out:
            return subprocess.Popen(
                self.typed(f"exec {command}", True), env=self.environment() | variables, cwd=self.folder,
                encoding="utf-8", stdout=out, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip

    def typed(self, command: str, prepare: bool) -> list[str]:
        ros = installed_ros()
        lines = "\n".join([*(self.shell if prepare else []), command])
        lines = lines.replace("/opt/ros/jazzy/setup.bash", str(ros)).replace("~/ws", str(self.folder / "ws"))
        return ["bash", "-c", f"set -e\n{lines}"]

    def environment(self) -> dict[str, str]:
        """A login shell's: nothing of the environment that runs these tests."""
        kept = ("HOME", "LANG", "TERM", "TMPDIR", "PIP_", "GIT_", "SSL_", "HTTP", "NO_PROXY", "ROS_DOMAIN_ID")
        own = {name: value for name, value in os.environ.items() if name.startswith(kept)}
        tools = os.environ.get("VGPS_COLCON_BIN", "")
        return own | {"PATH": ":".join(["/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin", *([tools] if tools else [])])}


LETTERS = {"wheels": "a", "sourced": "b", "colcon": "c", "colcon-symlink": "c"}


@pytest.fixture(scope="module", params=LETTERS)
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> SetUp:
    name: str = request.param
    base = Path(os.environ.get("VGPS_SETUPS") or tmp_path_factory.mktemp("setups"))
    if name != "wheels" and installed_ros() is None:
        pytest.skip("no installed ROS 2: neither VGPS_ROS_SETUP nor /opt/ros/*/setup.bash")
    if name.startswith("colcon") and not (shutil.which("colcon") or os.environ.get("VGPS_COLCON_BIN")):
        pytest.skip("colcon is not installed: neither on PATH nor in VGPS_COLCON_BIN")
    lines = block(LETTERS[name])
    if name == "colcon-symlink":
        lines = [line.replace("colcon build", "colcon build --symlink-install") for line in lines]
    setup = SetUp(name, base / name, lines)
    setup.folder.mkdir(parents=True, exist_ok=True)
    reachable = "git ls-remote -q https://github.com/ros2/launch HEAD"
    if name == "wheels" and setup.run(reachable, prepare=False, capture_output=True).returncode:
        pytest.skip("GitHub, from which make ros2-tools installs, is not reachable")
    setup.make()
    return setup


@pytest.fixture
def domain() -> Iterator[int]:
    with own_domain() as domain:
        before = os.environ.get("ROS_DOMAIN_ID")
        os.environ["ROS_DOMAIN_ID"] = str(domain)
        yield domain
        os.environ.pop("ROS_DOMAIN_ID") if before is None else os.environ.update(ROS_DOMAIN_ID=before)


def started(mark: str) -> dict[int, str]:
    """Living processes that carry the mark in their environment, but for the daemon of ros2."""
    found = {}
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                marked = f"{MARK}={mark}".encode() in (folder / "environ").read_bytes().split(b"\0")
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                dead = (folder / "stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] == "Z"
            except OSError:
                continue
            if marked and not dead and "_ros2_daemon" not in command:
                found[int(folder.name)] = command
    return found


@dataclass
class Launch:
    """A launch under way. `stop` ends it and returns the seconds until no process was left."""

    setup: SetUp
    words: str
    log: Path

    def __enter__(self) -> Launch:
        self.mark = uuid.uuid4().hex
        self.process = self.setup.start(f"ros2 launch {self.words}", self.log, **{MARK: self.mark})
        return self

    def wait_up(self, nodes: int = 5) -> None:
        deadline = time.monotonic() + 120
        while sum("_node --ros-args" in command for command in started(self.mark).values()) < nodes:
            assert self.process.poll() is None and time.monotonic() < deadline, self.text()
            time.sleep(0.1)

    def text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")

    def stop(self, number: signal.Signals, *, group: bool) -> float:
        """group: as a terminal does on Ctrl-C; otherwise the launch alone gets the signal."""
        began = time.monotonic()
        (os.killpg if group else os.kill)(self.process.pid, number)
        while (left := started(self.mark)) and time.monotonic() - began < 4 * WITHIN:
            time.sleep(0.02)
        assert not left, f"still there: {left}\n{self.text()}"
        self.process.wait()
        return time.monotonic() - began

    def __exit__(self, *_: object) -> None:
        for pid in started(self.mark):
            os.kill(pid, signal.SIGKILL)
        self.process.wait()


def send_goal(setup: SetUp) -> str:
    done = setup.run(
        f"ros2 action send_goal /task/run vgps_msgs/action/RunTask {GOAL}", capture_output=True, timeout=180
    )
    return done.stdout + done.stderr


@pytest.mark.parametrize("how", ["package", "path"])
def test_a_goal_succeeds_in_a_launched_graph(made: SetUp, domain: int, how: str, tmp_path: Path) -> None:
    where = "vgps sim.launch.py"
    if how == "path":
        prefix = made.run("ros2 pkg prefix vgps", capture_output=True, check=True).stdout.strip()
        where = f"{prefix}/share/vgps/launch/sim.launch.py"
    with Launch(made, where, tmp_path / "launch.log") as launch:
        launch.wait_up()
        answer = send_goal(made)
        assert "Goal finished with status: SUCCEEDED" in answer, f"{answer}\n{launch.text()}"
        assert "[gate_node-" in launch.text(), "processes are not named by their node"
        launch.stop(signal.SIGINT, group=True)


def test_arguments_are_described_and_bad_ones_refused(made: SetUp, domain: int) -> None:
    shown = made.run("ros2 launch vgps sim.launch.py --show-args", capture_output=True, check=True).stdout
    assert "'clock':" in shown and "lockstep: the world waits" in shown and "'realtime'" in shown
    refused = made.run("ros2 launch vgps sim.launch.py k:=0", capture_output=True)
    assert "k is 0; it must be from 1 to 1000" in refused.stdout + refused.stderr
    assert "process started" not in refused.stdout + refused.stderr


def test_single_nodes_interfaces_and_the_command_run(made: SetUp, domain: int, tmp_path: Path) -> None:
    assert "gate_node" in made.run("ros2 pkg executables vgps", capture_output=True, check=True).stdout
    assert "float64" in made.run("ros2 interface show vgps_msgs/msg/Scores", capture_output=True, check=True).stdout
    mark = uuid.uuid4().hex
    gate = made.start("ros2 run vgps gate_node --ros-args -p hold_after:=2", tmp_path / "gate.log", **{MARK: mark})
    try:
        deadline = time.monotonic() + 120
        while "Min value" not in (
            text := made.run("ros2 param describe /gate_node hold_after", capture_output=True).stdout
        ):
            assert time.monotonic() < deadline, text + (tmp_path / "gate.log").read_text(encoding="utf-8")
        assert "2.0" in made.run("ros2 param get /gate_node hold_after", capture_output=True, check=True).stdout
    finally:
        os.killpg(gate.pid, signal.SIGINT)
        gate.wait(30)
    assert not started(mark)
    assert "usage: vgps" in made.run("ros2 run vgps vgps --help", capture_output=True, check=True).stdout


@pytest.mark.parametrize(
    ("number", "group"),
    [(signal.SIGINT, True), (signal.SIGINT, False), (signal.SIGTERM, False), (signal.SIGKILL, False)],
    ids=["Ctrl-C", "SIGINT alone", "SIGTERM alone", "SIGKILL alone"],
)
def test_no_process_is_left_within_five_seconds(
    made: SetUp, domain: int, number: signal.Signals, group: bool, tmp_path: Path
) -> None:
    """Now and then before the nodes are up, as an impatient user does."""
    seconds = []
    for turn in range(STOPS):
        with Launch(made, "vgps sim.launch.py", tmp_path / f"{turn}.log") as launch:
            launch.wait_up()
            time.sleep(0.0 if turn % 5 == 4 else 4.0)
            seconds.append(launch.stop(number, group=group))
    print(f"\n{made.name}, {number.name}{'' if group else ' alone'}: {STOPS} stops, longest {max(seconds):.2f} s, "
          f"median {sorted(seconds)[len(seconds) // 2]:.2f} s")  # fmt: skip
    late = [round(s, 2) for s in seconds if s > WITHIN]
    assert not late, f"{len(late)} of {STOPS} took longer than {WITHIN} s: {late}"
