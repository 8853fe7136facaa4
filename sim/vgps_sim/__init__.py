"""Worlds, arms, tasks, experts and paired evaluation: where everything is proven first."""

from vgps_sim.offscreen import check_renderer

# A MUJOCO_GL that MuJoCo cannot be imported with is named before anything here imports it.
check_renderer()
