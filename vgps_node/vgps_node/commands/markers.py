"""vgps markers"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import tyro


@dataclass(frozen=True)
class MarkersCommand:
    settings: tyro.conf.Positional[Path]  # YAML file that says which markers there are, docs/reference/markers.md
    out: Path = Path("runs/markers.pdf")  # A4 pages: a .pdf, or .png files of one page each
    dpi: int = 300  # dots an inch


def main(arguments: Sequence[str], *, prog: str) -> int:
    """Markers to print, by which a camera finds things and the table. Print at 100 % and measure the ruler.

    Examples:
        vgps markers markers.yaml --out runs/markers.pdf
        vgps markers markers.yaml --out runs/markers.png --dpi 600
    """
    command = tyro.cli(MarkersCommand, args=list(arguments), prog=prog, description=main.__doc__)
    from vgps_models.keypoints.marker_set import MarkerSet
    from vgps_models.keypoints.marker_sheet import write_sheet

    written = write_sheet(MarkerSet.read(command.settings), command.out, command.dpi)
    print(f"wrote {', '.join(map(str, written))}")
    return 0
