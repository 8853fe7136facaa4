"""Worlds, arms, tasks, experts and paired evaluation: where everything is proven first.

Importing this package registers its tasks with Gymnasium: see `vgps_sim.env`.
"""

from vgps_sim.offscreen import check_renderer
from vgps_sim.registration import register_with_gymnasium

# A MUJOCO_GL that MuJoCo cannot be imported with is named before anything here imports it.
check_renderer()
register_with_gymnasium()
