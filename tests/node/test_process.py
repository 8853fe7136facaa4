"""A node as a process: its parent is watched before the node is imported."""

import os
import subprocess
import sys
from pathlib import Path

CODE = """
import vgps_node
vgps_node.__path__.append({folder!r})
import sys; sys.argv[1:] = ["slow_node", "--ros-args"]
import runpy; runpy.run_module("vgps_node.process", run_name="__main__")
"""
NODE = """
import sys, threading
WATCHED = any(thread.name == "die-with-parent" for thread in threading.enumerate())
def main(): print(WATCHED, sys.argv[1:])
"""


def test_the_parent_is_watched_while_the_node_is_imported(tmp_path: Path) -> None:
    (tmp_path / "slow_node.py").write_text(NODE, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-c", CODE.format(folder=str(tmp_path))],
        env=os.environ | {"VGPS_PARENT_PID": str(os.getpid())}, capture_output=True, encoding="utf-8",
    )  # fmt: skip
    assert done.returncode == 0 and done.stdout == "True ['--ros-args']\n", done.stderr
