"""Starts processes, waits until they are ready, notices when one ends, leaves none behind. Knows no ROS."""

from __future__ import annotations

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from vgps_models.errors import VgpsError
from vgps_node.children import PARENT_PID, READY_FD

TAIL = 15  # lines of a log that an error shows


class NodeDiedError(VgpsError):
    """A process of the graph ended by itself."""

    def __init__(self, name: str, code: int, log: Path) -> None:
        how = f"was ended by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        super().__init__(f"{name} {how}; the end of {log}:\n{tail(log)}")
        self.name, self.code, self.log = name, code, log


class NotReadyError(VgpsError):
    """A process is alive but did not become ready in time."""


class Supervisor:
    """Runs named commands, each in a process group of its own, so that only we decide when they stop.

    Use it as a context from the main thread: children are ended when the starting thread dies. advisory: names of those
    that the others do without; when one of them ends, `lost` says so and the rest goes on.
    """

    GRACE = 2.5  # [s] between SIGINT and SIGKILL

    def __init__(
        self,
        commands: Mapping[str, Sequence[str]],
        log_folder: Path,
        environment: Mapping[str, str] | None = None,
        advisory: Collection[str] = (),
    ) -> None:
        self.log_folder, self._advisory = log_folder, frozenset(advisory)
        self._lost: dict[str, NodeDiedError] = {}  # advisory ones that have ended
        self._commands = commands
        self._environment = dict(os.environ if environment is None else environment)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self._ready: dict[str, int] = {}  # name -> file descriptor still to be heard

    @property
    def pids(self) -> dict[str, int]:
        return {name: process.pid for name, process in self._processes.items()}

    def log(self, name: str) -> Path:
        return self.log_folder / f"{name}.log"

    def start(self) -> None:
        self.log_folder.mkdir(parents=True, exist_ok=True)
        for name, command in self._commands.items():
            hear, tell = os.pipe()
            environment = self._environment | {READY_FD: str(tell), PARENT_PID: str(os.getpid())}
            try:
                with self.log(name).open("wb") as log:
                    self._processes[name] = subprocess.Popen(
                        command,
                        env=environment,
                        stdin=subprocess.DEVNULL,
                        stdout=log,
                        stderr=subprocess.STDOUT,
                        pass_fds=(tell,),
                        start_new_session=True,
                    )
                self._ready[name] = hear
            except OSError:
                os.close(hear)
                raise
            finally:
                os.close(tell)

    def wait_ready(self, timeout: float = 60.0) -> None:
        """Until every child is ready; raises NodeDiedError or NotReadyError. An advisory child that ends is let go."""
        deadline = time.monotonic() + timeout
        with selectors.DefaultSelector() as selector:
            for name, fd in self._ready.items():
                selector.register(fd, selectors.EVENT_READ, name)
            while self._ready:
                events = selector.select(timeout=max(0.0, deadline - time.monotonic()))
                if not events:
                    if (late := self._first_needed()) is None:
                        return
                    raise NotReadyError(f"{late} was not ready within {timeout:g} s; its log:\n{tail(self.log(late))}")
                for key, _ in events:
                    selector.unregister(key.fd)
                    said = os.read(key.fd, 1)
                    os.close(self._ready.pop(key.data))
                    if not said:  # the pipe closed without a word: it is gone, or about to be
                        with suppress(subprocess.TimeoutExpired):
                            self._processes[key.data].wait(timeout=5.0)
                        self.check()
                        if key.data in self._advisory:
                            continue
                        raise NotReadyError(
                            f"{key.data} gave up its ready signal; its log:\n{tail(self.log(key.data))}"
                        )

    def check(self) -> None:
        """Raise NodeDiedError if a child has ended that the others need."""
        for name, process in self._processes.items():
            if (code := process.poll()) is None or name in self._lost:
                continue
            died = NodeDiedError(name, code, self.log(name))
            if name not in self._advisory:
                raise died
            self._lost[name] = died

    @property
    def lost(self) -> Mapping[str, NodeDiedError]:
        """Advisory children that have ended, and how."""
        return self._lost

    def stop(self) -> None:
        """Interrupt all, wait, kill what is left. Safe to call again."""
        for fd in self._ready.values():
            os.close(fd)
        self._ready.clear()
        self._signal(signal.SIGINT)
        deadline = time.monotonic() + self.GRACE
        for process in self._processes.values():
            with suppress(subprocess.TimeoutExpired):
                process.wait(timeout=max(0.0, deadline - time.monotonic()))
        self._signal(signal.SIGKILL)  # also what a child may have started itself
        for process in self._processes.values():
            process.wait()
        self._processes.clear()

    def _first_needed(self) -> str | None:
        """A child that is not ready and that the others need."""
        return next((name for name in self._ready if name not in self._advisory), None)

    def _signal(self, number: signal.Signals) -> None:
        for process in self._processes.values():
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, number)

    def __enter__(self) -> Supervisor:
        try:
            self.start()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


def tail(log: Path) -> str:
    """The last lines of a log."""
    try:
        lines = log.read_text(errors="replace").splitlines()
    except OSError as error:
        return f"  (cannot be read: {error})"
    return "\n".join(f"  {line}" for line in lines[-TAIL:]) or "  (empty)"
