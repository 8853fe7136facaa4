"""Who can act in a video."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from vgps_models.errors import UnknownNameError
from vgps_sim.people.crane import Crane
from vgps_sim.people.hand import Hand
from vgps_sim.people.parts import Embodiment
from vgps_sim.people.person import Person
from vgps_sim.people.tongs import Tongs
from vgps_sim.people.trident import Trident

Make = Callable[[np.random.Generator], Embodiment]  # draws its looks

# A performance is drawn from the place of its embodiment in this list: add new ones at the end.
EMBODIMENTS: dict[str, Make] = {"hand": Hand, "crane": Crane, "trident": Trident, "tongs": Tongs, "person": Person}


def get_embodiment(name: str) -> Make:
    """Makes the embodiment called `name`; the error lists the valid ones."""
    try:
        return EMBODIMENTS[name]
    except KeyError:
        raise UnknownNameError("embodiment", name, EMBODIMENTS) from None
