"""A scripted expert with a view of the simulator's truth, and the ways in which it can be bad.

The expert decides from the present state alone, so that it recovers from
whatever happened before: from noise, from a missed grasp, from a dropped object.
"""

from vgps_models.spaces import ActionSpec, Array
from vgps_sim.experts.intent import Intent
from vgps_sim.experts.picking import Picking
from vgps_sim.experts.pouring import PouringSkill
from vgps_sim.tasks import Pouring
from vgps_sim.world import World

__all__ = ["Expert", "Intent"]


class Expert:
    """Knows every task."""

    def __init__(self, spec: ActionSpec | None = None) -> None:
        self.spec = spec or ActionSpec()
        self._picking, self._pouring = Picking(self.spec), PouringSkill(self.spec)

    def act(self, world: World, intent: Intent | None = None) -> Array:
        """The next action (7,) of this world's task, clipped to the spec."""
        skill = self._pouring if isinstance(world.task, Pouring) else self._picking
        return skill.act(world, intent or Intent())
