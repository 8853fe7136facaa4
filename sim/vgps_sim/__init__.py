"""Worlds, arms, tasks, experts and paired evaluation: where everything is proven first."""

from vgps_sim.offscreen import choose_renderer

# MuJoCo decides how to render when it is first imported, so this comes before everything else here.
choose_renderer()
