"""A node as a process: `python -m vgps_node.process NAME [--ros-args ...]`. Knows no ROS until the node is imported."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable
from typing import Any

from vgps_node.children import die_with_parent


def load(name: str) -> Callable[[], Any]:
    """The main function of the node of this name, in a process that ends with the one that started it.

    Importing a node takes seconds, so the parent is watched first.
    """
    die_with_parent()
    return importlib.import_module(f"vgps_node.{name}").main


if __name__ == "__main__":
    sys.exit(load(sys.argv.pop(1))())
