"""vgps doctor"""

from __future__ import annotations

from collections.abc import Sequence

import tyro

from vgps_node.doctor import doctor


def main(arguments: Sequence[str], *, prog: str) -> int:
    return tyro.cli(doctor, args=list(arguments), prog=prog)
