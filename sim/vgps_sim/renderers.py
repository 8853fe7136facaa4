"""Pictures of one compiled scene, drawn off screen, that no other scene in this process can spoil.

MuJoCo names what it has on the graphics card by numbers, and uses and frees them in whichever OpenGL context is
current. So a scene is drawn and freed in a context of its own, which is current only meanwhile: also when its owner
is merely dropped, in another thread than before, and in a forked process, which makes new ones.
"""

from __future__ import annotations

import atexit
import ctypes
import os
import resource
import signal
import sys
import threading
import warnings
import weakref
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cache
from typing import Any

import mujoco
import numpy as np

from vgps_models.errors import MissingDependencyError, VgpsError
from vgps_models.spaces import Array, Image
from vgps_sim.gl_contexts import Context, ContextError
from vgps_sim.offscreen import MEND, make_context

MOST_GEOMS = 10_000
SECONDS_TO_TRY = 5  # that a first context in a copy of the process may take


@dataclass
class _Stage:
    """What draws: a context, MuJoCo's part in it, and a scene. process: where they can be used."""

    context: Context
    drawer: mujoco.MjrContext
    scene: mujoco.MjvScene
    process: int


class Renderers:
    """Draws `model` in any size; what it needs is made when first needed."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model, self._option, self._lock = model, mujoco.MjvOption(), threading.RLock()
        self._option.geomgroup[:] = (1, 1, 1, 0, 0, 0)
        self._option.sitegroup[:] = 0
        self._made: list[_Stage] = []  # one at most
        # A finaliser keeps the stage alive until it has run; `__del__` of MuJoCo's own parts, which
        # the collector calls in any order, then finds nothing left to free.
        weakref.finalize(self, _free, self._made).atexit = False
        _alive.add(self)

    def draw(self, data: mujoco.MjData, camera: str, height: int, width: int) -> Image:
        """An RGB picture, shape (height, width, 3) uint8. Raises MissingDependencyError without OpenGL."""
        picture = np.empty((height, width, 3), np.uint8)
        with self._drawn(data, camera, height, width) as (area, stage):
            mujoco.mjr_readPixels(picture, None, area, stage.drawer)
        return np.flipud(picture).copy()

    def depth(self, data: mujoco.MjData, camera: str, height: int, width: int) -> Array:
        """Depth along the camera's axis [m], shape (height, width). Raises MissingDependencyError without OpenGL."""
        z = np.empty((height, width), np.float32)
        with self._drawn(data, camera, height, width, flat=True) as (area, stage):
            mujoco.mjr_readPixels(None, z, area, stage.drawer)
        extent, planes, half = self._model.stat.extent, self._model.vis.map, np.float32(0.5)
        near, far = np.float32(planes.znear * extent), np.float32(planes.zfar * extent)
        # z is 1 at the near plane, 0 at the far one, and linear in 1 / depth. With the coefficients of the projection
        # rounded as OpenGL rounds them the depth is exact to 1e-7; with exact ones it is off by up to 3e-5.
        scale, shift = (near * far) / (far - near), half * ((far + near) / (far - near)) - half
        return np.flipud((scale / (z.astype(np.float64) + shift)).astype(np.float32)).astype(np.float64)

    @contextmanager
    def _drawn(
        self, data: mujoco.MjData, camera: str, height: int, width: int, *, flat: bool = False
    ) -> Iterator[tuple[mujoco.MjrRect, _Stage]]:
        """With the picture in the frame buffer, and its context current. flat: without light, for exact depth."""
        limits = self._model.vis.global_
        if not (0 < height <= limits.offheight and 0 < width <= limits.offwidth):
            raise VgpsError(
                f"a picture of {width} x {height} cannot be drawn; at most {limits.offwidth} x {limits.offheight}"
            )
        view = mujoco.MjvCamera()
        view.type, view.fixedcamid = mujoco.mjtCamera.mjCAMERA_FIXED.value, self._model.camera(camera).id
        area = mujoco.MjrRect(0, 0, width, height)
        with self._lock:
            stage = self._stage()
            with stage.context.current():
                everything = mujoco.mjtCatBit.mjCAT_ALL.value
                mujoco.mjv_updateScene(self._model, data, self._option, None, view, everything, stage.scene)
                for flag in (mujoco.mjtRndFlag.mjRND_SEGMENT, mujoco.mjtRndFlag.mjRND_IDCOLOR):
                    stage.scene.flags[flag] = flat
                mujoco.mjr_render(area, stage.scene, stage.drawer)
                yield area, stage

    def _stage(self) -> _Stage:
        if self._made and self._made[0].process != os.getpid():
            _free(self._made)
        if not self._made:
            self._made.append(_made(self._model))
        return self._made[0]

    def __len__(self) -> int:
        return len(self._made)

    def close(self) -> None:
        """Give the context back. Drawing again makes a new one."""
        with self._lock:
            _free(self._made)


_alive: weakref.WeakSet[Renderers] = weakref.WeakSet()
_functions: list[bool] = []  # once it is known: whether MuJoCo finds the functions of OpenGL in this process


def _free(made: list[_Stage]) -> None:
    while made:
        stage = made.pop()
        if stage.process != os.getpid():  # its names mean nothing here: MuJoCo must not free them, at exit either
            ctypes.pythonapi.Py_IncRef(ctypes.py_object(stage.drawer))
            continue
        with suppress(ContextError):  # at exit, another user of EGL may have ended it
            with stage.context.current():
                stage.drawer.free()
            stage.context.free()


@cache
def _close_at_exit() -> None:
    """Close all before GL is taken apart. To be asked after the first context was made:
    what is registered last runs first."""
    atexit.register(lambda: [renderers.close() for renderers in list(_alive)])


def _made(model: mujoco.MjModel) -> _Stage:
    context = make_context()
    try:
        _check_functions(context)
        with context.current():
            drawer = mujoco.MjrContext(model, mujoco.mjtFontScale.mjFONTSCALE_150.value)
            mujoco.mjr_setBuffer(mujoco.mjtFramebuffer.mjFB_OFFSCREEN.value, drawer)
            drawer.readDepthMap = mujoco.mjtDepthMap.mjDEPTH_ZEROFAR.value
    except (ContextError, mujoco.FatalError) as error:
        context.free()
        raise MissingDependencyError(f"no off-screen OpenGL for MuJoCo ({error}); {MEND}") from error
    _close_at_exit()
    return _Stage(context, drawer, mujoco.MjvScene(model, MOST_GEOMS), os.getpid())


def _check_functions(context: Context) -> None:
    """Raises MissingDependencyError where an earlier attempt to draw on a display has failed in this process.

    MuJoCo looks for the functions of OpenGL once. A second search after one that failed ends the process or never
    returns. GLFW remembers that it found no display; whether MuJoCo searched then, only a copy of the process can try.
    """
    if not _functions:
        glfw: Any = sys.modules.get("glfw")
        _functions.append(glfw is None or not glfw.get_error()[0] or _found_in_a_copy(context))
    if not _functions[0]:
        raise MissingDependencyError(
            "something in this process has tried to draw on a display that is not there, after which MuJoCo cannot "
            "draw in it any more; start Python again with MUJOCO_GL=egl set"
        )


def _found_in_a_copy(context: Context) -> bool:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of forking a process with threads
        child = os.fork()
    if not child:
        signal.signal(signal.SIGALRM, signal.SIG_DFL)
        signal.alarm(SECONDS_TO_TRY)
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        with context.current():
            mujoco.MjrContext(mujoco.MjModel.from_xml_string("<mujoco/>"), mujoco.mjtFontScale.mjFONTSCALE_50.value)
        os._exit(0)
    return os.waitpid(child, 0)[1] == 0
