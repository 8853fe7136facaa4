"""How one chunk is made of K proposed ones and a critic: pure numpy, the same in one process and over ROS."""

from vgps_models.selection.choosing import Choice, Judge, choose
from vgps_models.selection.settings import DENSITIES, REFINEMENTS, RULES, UNSCORED, Selection, SelectionError

__all__ = [
    "DENSITIES",
    "REFINEMENTS",
    "RULES",
    "UNSCORED",
    "Choice",
    "Judge",
    "Selection",
    "SelectionError",
    "choose",
]
