"""One onion after the other, in any order. What goes wrong goes wrong with one of them."""

from __future__ import annotations

from dataclasses import replace

from vgps_sim.people.acting.actor import Actor, Strokes
from vgps_sim.tasks import Sorting


class SortingActor(Actor):
    beside = False  # the bins are near

    def act(self) -> Strokes:
        task, manner = self.stage.task, self.manner
        assert isinstance(task, Sorting)
        goals = [task.goals[i] for i in self.rng.permutation(len(task.goals))]
        spoilt = int(self.rng.integers(len(goals)))
        if manner.fault == "wrong_object":  # takes one bin for the other
            goals = [replace(g, target=other.target) for g, other in zip(goals, goals[::-1], strict=True)]
        yield self._wait(manner.idle[0])
        for number, goal in enumerate(goals):
            self.goal, self.manner = goal, manner if number == spoilt else replace(manner, fault="")
            yield from self._one()
            if number == spoilt and manner.fault and not manner.mended and self.rng.random() < 0.5:
                break  # and leaves it at that
            if self.stage.held is not None:
                break
        yield from self._withdraw()
        yield self._wait(manner.idle[1])

    def _one(self) -> Strokes:
        if self.manner.fault == "half_way":
            yield from self._half_way(self.goal.object)
        elif self.manner.fault == "miss" and not self.manner.mended:
            yield from self._miss(self.goal.object)
        else:
            yield from self._fetch(self.goal.object)
