"""One training a checkpoint at a time, whatever the path is called, and however the other one ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from vgps_models.training.lock import TrainingBusyError, alone

HOLD = """
import sys; from pathlib import Path; from vgps_models.training.lock import alone
with alone(Path(sys.argv[1])): print("held", flush=True); sys.stdin.read()
"""


def test_a_second_training_of_the_same_checkpoint_is_refused_until_the_first_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "critic.safetensors"
    pipe = subprocess.PIPE
    with subprocess.Popen([sys.executable, "-c", HOLD, str(out)], stdin=pipe, stdout=pipe, encoding="utf-8") as other:
        assert other.stdout is not None and other.stdout.readline() == "held\n"
        monkeypatch.chdir(tmp_path)
        with pytest.raises(TrainingBusyError, match=rf"process {other.pid}\) writes"), alone(Path(out.name)):
            pass
        with alone(tmp_path / "policy.safetensors"):
            pass
        other.kill()
    with alone(out):
        pass
    assert not list(tmp_path.iterdir())
