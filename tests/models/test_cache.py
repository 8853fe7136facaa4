"""A cache entry is made once, however many want it at the same time, and never read half-written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np

from vgps_models.training.cache import save

MAKE = """
import sys; from pathlib import Path; import numpy as np
from vgps_models.training.cache import save, sole
path = Path(sys.argv[1])
with sole(path):
    if not path.exists():
        with path.with_name("made").open("a") as made: made.write("x")
        save(path, np.arange(200_000))
assert np.load(path).sum() == 199_999 * 100_000
"""


def test_many_want_it_and_one_makes_it(tmp_path: Path) -> None:
    command = [sys.executable, "-c", MAKE, str(tmp_path / "folder" / "entry.npy")]
    wanting = [subprocess.Popen(command) for _ in range(4)]
    assert [process.wait(timeout=60) for process in wanting] == [0] * 4
    assert (tmp_path / "folder" / "made").read_text(encoding="utf-8") == "x"


def test_what_is_there_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "entry.npy"
    for size in (5, 3):
        save(path, np.ones(size))
        assert len(np.load(path)) == size
    assert [p.name for p in tmp_path.iterdir()] == ["entry.npy"]
