"""How a performance goes: movements of a tip, decided one by one while it goes on.

What is to be done next is asked for when the last movement is over, so whoever dropped a thing reaches for where it
really lies.
"""

from vgps_sim.people.acting.actor import Actor, home_of, nearest_yaw
from vgps_sim.people.acting.picking import Picking
from vgps_sim.people.acting.pouring import PouringActor
from vgps_sim.people.acting.sorting import SortingActor
from vgps_sim.tasks import Pouring, Sorting, Task

__all__ = ["Actor", "actor_of", "home_of", "nearest_yaw"]


def actor_of(task: Task) -> type[Actor]:
    """Who knows the task."""
    return PouringActor if isinstance(task, Pouring) else SortingActor if isinstance(task, Sorting) else Picking
