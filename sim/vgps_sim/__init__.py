"""Worlds, arms, tasks, experts and paired evaluation: where everything is proven first.

Importing this package registers its tasks with Gymnasium, where that is installed: see `vgps_sim.env`.
"""

from contextlib import suppress

from vgps_sim.offscreen import check_renderer

# A MUJOCO_GL that MuJoCo cannot be imported with is named before anything here imports it.
check_renderer()

with suppress(ImportError):  # kinematics of a real arm need no Gymnasium
    from vgps_sim.registration import register

    register()
