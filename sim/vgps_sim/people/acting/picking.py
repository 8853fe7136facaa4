"""One thing to one place."""

from __future__ import annotations

from vgps_sim.people.acting.actor import Actor, Strokes


class Picking(Actor):
    def act(self) -> Strokes:
        manner = self.manner
        yield self._wait(manner.idle[0])
        thing = self.stage.task.distractor if manner.fault == "wrong_object" else self.goal.object
        if manner.fault == "half_way":
            yield from self._half_way(thing)
        elif manner.fault == "miss" and not manner.mended:
            yield from self._miss(thing)
            if self.rng.random() < 0.5:  # goes on as if it held something
                yield from self._over_target()
                yield self._to(gap=0.05, seconds=0.3)
        else:
            yield from self._fetch(thing)
        yield from self._withdraw()
        yield self._wait(manner.idle[1])
