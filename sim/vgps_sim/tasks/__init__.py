"""What there is to do. `TASKS` are the four standard ones, which all shipped policies and critics know; `WATCHED` are
those that rewards are learned for by watching people (Visual IRL)."""

from vgps_models.errors import UnknownNameError
from vgps_sim.tasks.base import (
    EVENTS,
    LIFTED,
    REGION_HIGH,
    REGION_LOW,
    STILL,
    Goal,
    Physics,
    Place,
    Task,
)
from vgps_sim.tasks.picking import TASKS, PickPlace
from vgps_sim.tasks.pouring import POURING, Pouring
from vgps_sim.tasks.sorting import SORTING, Sorting

__all__ = [
    "ALL_TASKS", "EVENTS", "LIFTED", "REGION_HIGH", "REGION_LOW", "STILL", "TASKS", "WATCHED", "Goal", "Physics",
    "PickPlace", "Place", "Pouring", "Sorting", "Task", "get_task", "number_of",
]  # fmt: skip

WATCHED: dict[str, Task] = {SORTING.id: SORTING, POURING.id: POURING}
ALL_TASKS: dict[str, Task] = {**TASKS, **WATCHED}


def get_task(task_id: str) -> Task:
    """The task called `task_id`; the error lists the valid ones."""
    try:
        return ALL_TASKS[task_id]
    except KeyError:
        raise UnknownNameError("task", task_id, ALL_TASKS) from None


def number_of(task_id: str) -> int:
    """What seeds are mixed with, so that tasks do not share layouts."""
    return list(ALL_TASKS).index(get_task(task_id).id)
