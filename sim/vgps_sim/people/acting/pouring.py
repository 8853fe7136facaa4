"""Take the bottle from the side, tip it over the bowl, stand it back."""

from __future__ import annotations

import numpy as np

from vgps_models.spaces import Array
from vgps_models.turns import about_x, turned
from vgps_sim.objects.kitchen import BOTTLE_GRASP, BOTTLE_LENGTH
from vgps_sim.people.acting.actor import Actor, Strokes
from vgps_sim.tasks import Pouring

BEHIND = 0.11  # [m] from the bottle where the open hand sets out for it
NEAREST = 0.135  # [m] from the bowl where the bottle is stood back
TIPPED = (1.85, 2.25)  # [rad] the bottle is turned by
TOO_LITTLE = (0.5, 0.95)  # [rad] from which nothing comes
BESIDE = (0.1, 0.14)  # [m] from the bowl's middle where it misses the bowl
ABOVE = (0.07, 0.09)  # [m] of the mouth over the bowl's foot


class PouringActor(Actor):
    def act(self) -> Strokes:
        manner, bottle = self.manner, self.goal.object
        yield self._wait(manner.idle[0])
        if manner.fault == "miss":
            yield from self._reach_beside(bottle)
        if manner.fault != "miss" or manner.mended:
            yield from self._take(bottle)
            yield from self._go_on(bottle)
        yield from self._withdraw()
        yield self._wait(manner.idle[1])

    def _go_on(self, bottle: str) -> Strokes:
        """With the bottle in the hand."""
        manner = self.manner
        if manner.fault == "put_down" or (manner.fault == "drop" and manner.mended):  # what is spilt stays spilt
            yield from self._stand(bottle)
            yield from self._take(bottle)
        if manner.fault == "drop" and not manner.mended:
            yield from self._drop(bottle)
            return
        if manner.fault == "half_way" and self.rng.random() < 0.5:
            yield self._wait(self.rng.uniform(0.5, 1.5))  # thinks better of it
        else:
            yield from self._pour(bottle)
        yield from self._stand(bottle)

    def _take(self, bottle: str) -> Strokes:
        yaw, at = self.stage.embodiment.natural_yaw, self._grasp(bottle)
        ahead = turned(yaw)[:, 0]
        wide = self.stage.width(bottle) + self.rng.uniform(0.03, 0.042)
        behind = at - BEHIND * ahead + [0.0, 0.0, self.rng.uniform(0.0, 0.02)]
        yield self._to(behind, yaw=yaw, gap=wide, tilt=0.0, minimum=0.4, bow=True)
        yield from self._pause()
        yield self._to(at, minimum=0.4)
        yield self._to(gap=self.stage.width(bottle), seconds=self.rng.uniform(0.25, 0.4))
        self.stage.grasp(bottle)
        yield from self._pause()
        yield self._to(at + [*self.rng.normal(0, 0.006, 2), self.rng.uniform(0.04, 0.07)], minimum=0.4)

    def _reach_beside(self, bottle: str) -> Strokes:
        """The fingers close where the bottle is not."""
        yaw, at = self.stage.embodiment.natural_yaw, self._grasp(bottle)
        short = at - self.rng.uniform(0.075, 0.1) * turned(yaw)[:, 0]
        yield self._to(short, yaw=yaw, gap=self.stage.width(bottle) + 0.035, minimum=0.4, bow=True)
        yield self._to(gap=0.008, seconds=0.3)
        yield self._to(short + [0.0, 0.0, 0.05], minimum=0.3)

    def _pour(self, bottle: str) -> Strokes:
        task, stage, manner = self.stage.task, self.stage, self.manner
        assert isinstance(task, Pouring) and stage.held is not None
        size = stage.scales[bottle]
        bowl = stage.position(self.goal.target)
        left = float(turned(stage.tip.yaw)[:, 1] @ (bowl - stage.position(bottle)))
        amount = TOO_LITTLE if manner.fault == "half_way" else TIPPED
        tilt = float(-np.sign(left) * self.rng.uniform(*amount))
        mouth = stage.held.offset + [0.0, 0.0, BOTTLE_LENGTH * size]  # seen from the tip, which is level here
        off = turned(stage.tip.yaw) @ about_x(tilt) @ mouth
        goal = bowl + [*self.rng.normal(0, 0.005, 2), self.rng.uniform(*ABOVE)]
        if manner.fault == "wrong_object":  # not into the bowl
            goal = goal + np.sign(left) * self.rng.uniform(*BESIDE) * turned(stage.tip.yaw)[:, 1]
        over = goal - off
        # The bottle passes over the bowl's rim on its way.
        yield self._to(np.array([*over[:2], max(over[2], stage.tip.position[2])]), minimum=0.5, bow=True)
        yield from self._pause()
        yield self._to(over, tilt=0.55 * tilt, seconds=self.rng.uniform(0.6, 0.9))
        yield self._to(over, tilt=tilt, seconds=self.rng.uniform(0.5, 0.9))
        yield self._wait(self.rng.uniform(0.5, 1.0))
        up = over + [0.0, 0.0, self.rng.uniform(0.02, 0.05)]
        yield self._to(up, tilt=0.0, seconds=self.rng.uniform(0.9, 1.4))

    def _stand(self, bottle: str) -> Strokes:
        """Back onto the table, clear of the bowl."""
        stage = self.stage
        offset = turned(stage.tip.yaw) @ (stage.held.offset if stage.held else np.zeros(3))
        bowl, here = stage.position(self.goal.target), stage.tip.position + offset
        away = (here - bowl)[:2]
        far = float(np.linalg.norm(away))
        spot = here[:2] if far > NEAREST else bowl[:2] + away / max(far, 1e-6) * (NEAREST + self.rng.uniform(0, 0.02))
        over = np.array([*(spot - offset[:2]), stage.tip.position[2]])
        yield self._to(over, minimum=0.3)
        yield self._to(np.array([*over[:2], stage.rest_height(bottle) - offset[2] + 0.001]), minimum=0.4)
        stage.release()
        yield self._to(gap=stage.tip.gap + self.rng.uniform(0.025, 0.035), seconds=self.rng.uniform(0.25, 0.4))
        yield self._to(stage.tip.position - BEHIND * turned(stage.tip.yaw)[:, 0], minimum=0.4)

    def _grasp(self, bottle: str) -> Array:
        """Where the tip takes it (3,) [m]."""
        at, size = self.stage.position(bottle), self.stage.scales[bottle]
        return at + [0.0, 0.0, (BOTTLE_GRASP + self.rng.uniform(-0.012, 0.006)) * size - self.stage.rest_height(bottle)]
