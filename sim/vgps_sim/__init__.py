"""Worlds, arms, tasks, experts and paired evaluation: where everything is proven first."""

import os

# MuJoCo chooses how to render when it is first imported, and its default needs a screen.
if not os.environ.get("DISPLAY"):
    os.environ.setdefault("MUJOCO_GL", "egl")
