"""vgps doctor"""

from __future__ import annotations

from collections.abc import Sequence

import tyro

from vgps_node.doctor import doctor


def main(arguments: Sequence[str], *, prog: str) -> int:
    """Say what this machine has and lacks, and the command that mends it. Exit code 1 if something will not work.

    Examples:
        vgps doctor
        vgps doctor --json
    """
    return tyro.cli(doctor, args=list(arguments), prog=prog, description=main.__doc__)
