"""Things on the table: `standard` those of the four standard tasks, `kitchen` those that people are watched with."""

from vgps_models.errors import UnknownNameError
from vgps_sim.objects.base import BOX, CAPSULE, CYLINDER, ELLIPSOID, LOOKS_ONLY, SOLID, SPHERE, Thing
from vgps_sim.objects.kitchen import KITCHEN
from vgps_sim.objects.standard import BASKET_HALF, THINGS

__all__ = [
    "BASKET_HALF", "BOX", "CAPSULE", "CYLINDER", "ELLIPSOID", "KITCHEN", "LOOKS_ONLY", "SOLID", "SPHERE", "THINGS",
    "Thing", "get_thing",
]  # fmt: skip


def get_thing(name: str) -> Thing:
    """The thing called `name`; the error lists the valid ones."""
    found = THINGS.get(name) or KITCHEN.get(name)
    if found is None:
        raise UnknownNameError("object", name, (*THINGS, *KITCHEN))
    return found
