"""Supervised processes: readiness, deaths, and that none is ever left."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vgps_node.supervisor import NodeDiedError, NotReadyError, Supervisor

READY = "from vgps_node.children import *; die_with_parent(); tell_ready();"


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1].split()[0] != "Z"


def wait_until_dead(pids: list[int], seconds: float = 5.0) -> bool:
    """Whether they are gone in time; orphans cannot be waited for, only looked at."""
    deadline = time.monotonic() + seconds
    while any(alive(pid) for pid in pids):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def test_everybody_is_ready_and_stops_when_asked(tmp_path: Path) -> None:
    commands = {name: python(f"{READY} print('{name} here', flush=True); input()") for name in "ab"}
    commands = {name: python(f"{READY} import signal; signal.pause()") for name in commands}
    with Supervisor(commands, tmp_path) as supervisor:
        supervisor.wait_ready(60)
        supervisor.check()
        pids = list(supervisor.pids.values())
        assert all(alive(pid) for pid in pids)
    assert not any(alive(pid) for pid in pids)
    supervisor.stop()  # again does no harm


def test_a_death_says_who_how_and_the_last_words(tmp_path: Path) -> None:
    commands = {"steady": python(f"{READY} import signal; signal.pause()"), "weak": python("exit('no such thing')")}
    with Supervisor(commands, tmp_path) as supervisor, pytest.raises(NodeDiedError) as died:
        supervisor.wait_ready(60)
    assert died.value.name == "weak" and died.value.code == 1
    assert "weak" in str(died.value) and "exit code 1" in str(died.value) and "no such thing" in str(died.value)


def test_a_killed_child_is_noticed_by_its_signal(tmp_path: Path) -> None:
    with Supervisor({"victim": python(f"{READY} import signal; signal.pause()")}, tmp_path) as supervisor:
        supervisor.wait_ready(60)
        pid = supervisor.pids["victim"]
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        with pytest.raises(NodeDiedError, match="SIGKILL"):
            supervisor.check()


def test_who_never_gets_ready_is_named(tmp_path: Path) -> None:
    code = "import signal; print('still loading', flush=True); signal.pause()"
    with Supervisor({"slow": python(code)}, tmp_path) as supervisor, pytest.raises(NotReadyError, match="slow"):
        supervisor.wait_ready(0.5)


def test_a_child_that_ignores_sigint_is_killed(tmp_path: Path) -> None:
    deaf = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN); {READY} \nwhile True: signal.pause()"
    with Supervisor({"deaf": python(deaf)}, tmp_path) as supervisor:
        supervisor.wait_ready(60)
        pid = supervisor.pids["deaf"]
    assert not alive(pid) and supervisor.GRACE < 5  # [s] in which `vgps up` must have left


def test_what_a_child_started_goes_with_it(tmp_path: Path) -> None:
    note = tmp_path / "grandchild"
    code = f"import subprocess, sys, signal; p = subprocess.Popen(['sleep', '1000']); open({str(note)!r}, 'w').write(str(p.pid)); {READY} signal.pause()"  # noqa: E501
    with Supervisor({"parent": python(code)}, tmp_path) as supervisor:
        supervisor.wait_ready(60)
    assert wait_until_dead([int(note.read_text(encoding="utf-8"))])


@pytest.mark.parametrize("heeds", [True, False], ids=["heeds SIGTERM", "ignores SIGTERM"])
def test_children_end_when_the_supervisor_is_killed(tmp_path: Path, heeds: bool) -> None:
    wait = "import signal; " + ("" if heeds else "signal.signal(signal.SIGTERM, signal.SIG_IGN); ")
    child = f"{READY} {wait} signal.pause()"
    code = (
        "import sys, signal; from pathlib import Path; from vgps_node.supervisor import Supervisor\n"
        f"with Supervisor({{'child': [sys.executable, '-c', {child!r}]}}, Path({str(tmp_path)!r})) as s:\n"
        "    s.wait_ready(60); print(s.pids['child'], flush=True); signal.pause()\n"
    )
    with subprocess.Popen(python(code), stdout=subprocess.PIPE, encoding="utf-8") as supervisor:
        assert supervisor.stdout is not None
        pid = int(supervisor.stdout.readline())
        assert alive(pid)
        supervisor.kill()
    assert wait_until_dead([pid])


def test_an_advisory_child_that_dies_is_reported_and_stops_nothing(tmp_path: Path) -> None:
    commands = {
        "needed": python(f"{READY} import signal; signal.pause()"),
        "early": python("exit('no such checkpoint')"),
        "late": python(f"{READY} import signal; signal.pause()"),
    }
    with Supervisor(commands, tmp_path, advisory=("early", "late")) as supervisor:
        supervisor.wait_ready(60)
        supervisor.check()
        assert list(supervisor.lost) == ["early"] and "no such checkpoint" in str(supervisor.lost["early"])
        pid = supervisor.pids["late"]
        os.kill(pid, signal.SIGKILL)
        os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
        supervisor.check()
        assert supervisor.lost.keys() == {"early", "late"} and "SIGKILL" in str(supervisor.lost["late"])
        assert alive(supervisor.pids["needed"])
        os.kill(supervisor.pids["needed"], signal.SIGKILL)
        os.waitid(os.P_PID, supervisor.pids["needed"], os.WEXITED | os.WNOWAIT)
        with pytest.raises(NodeDiedError, match="needed"):
            supervisor.check()


def test_an_advisory_child_that_never_gets_ready_is_not_waited_for_for_ever(tmp_path: Path) -> None:
    pause = "import signal; signal.pause()"
    commands = {"needed": python(f"{READY} {pause}"), "slow": python(pause)}
    with Supervisor(commands, tmp_path, advisory=["slow"]) as supervisor:
        supervisor.wait_ready(8)
        assert alive(supervisor.pids["slow"])
