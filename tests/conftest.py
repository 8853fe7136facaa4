"""Every test process: no display, one thread, a ROS domain of its own.

Set before anything is imported that reads it.
"""

from __future__ import annotations

import os
import sys

from hypothesis import HealthCheck, settings

os.environ.setdefault("MUJOCO_GL", "egl")
for threads in ("OMP_NUM_THREADS", "LP_NUM_THREADS"):  # tests run side by side; torch reads the first
    os.environ.setdefault(threads, "1")
if torch := sys.modules.get("torch"):
    torch.set_num_threads(1)

# Tests that run at the same time must not hear each other: workers of one run have a common parent, and
# 7 and 101 have no common factor, so their domains differ; two runs differ by their process ids.
_worker = os.environ.get("PYTEST_XDIST_WORKER", "")
_run, _index = (os.getppid(), int(_worker[2:])) if _worker.startswith("gw") else (os.getpid(), 0)
os.environ["ROS_DOMAIN_ID"] = str(1 + (_run + 7 * _index) % 101)
os.environ["ROS_AUTOMATIC_DISCOVERY_RANGE"] = "LOCALHOST"

# A machine that is busy with something else is no failure.
settings.register_profile("vgps", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("vgps")
