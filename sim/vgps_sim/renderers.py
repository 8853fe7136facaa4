"""Pictures of one compiled scene, drawn off screen, that no other scene in this process can spoil.

MuJoCo names what it has on the graphics card by numbers and frees them in whichever OpenGL context is current: a
`mujoco.Renderer` that nobody closed frees, when it is collected, the textures of another scene. So renderers live in
here: they are freed in their own context, also when their owner is merely dropped, and the context that was in use
before is current again afterwards.
"""

from __future__ import annotations

import atexit
import weakref
from functools import cache

import mujoco
import numpy as np

from vgps_models.errors import MissingDependencyError
from vgps_models.spaces import Array, Image
from vgps_sim.offscreen import MEND

Made = dict[tuple[int, int], mujoco.Renderer]  # (height, width) -> what draws pictures of that size


class Renderers:
    """Draws `model`; one renderer for each size that was asked for, made when first needed."""

    def __init__(self, model: mujoco.MjModel) -> None:
        self._model, self._option = model, mujoco.MjvOption()
        self._option.geomgroup[:] = (1, 1, 1, 0, 0, 0)
        self._option.sitegroup[:] = 0
        self._made: Made = {}
        # A finaliser keeps the renderers alive until it has run; `__del__` of MuJoCo's own parts, which
        # the collector calls in any order, then finds nothing left to free.
        weakref.finalize(self, _free, self._made).atexit = False
        _alive.add(self)

    def draw(self, data: mujoco.MjData, camera: str, height: int, width: int) -> Image:
        """An RGB picture, shape (height, width, 3) uint8."""
        return self._ready(data, camera, height, width).render().copy()

    def depth(self, data: mujoco.MjData, camera: str, height: int, width: int) -> Array:
        """Depth along the camera's axis [m], shape (height, width)."""
        renderer = self._ready(data, camera, height, width)
        renderer.enable_depth_rendering()
        try:
            return renderer.render().astype(np.float64)
        finally:
            renderer.disable_depth_rendering()

    def _ready(self, data: mujoco.MjData, camera: str, height: int, width: int) -> mujoco.Renderer:
        if (height, width) not in self._made:
            self._made[height, width] = _renderer(self._model, height, width)
        renderer = self._made[height, width]
        _current[:] = [weakref.ref(renderer)]
        renderer.update_scene(data, camera, self._option)
        return renderer

    def __len__(self) -> int:
        return len(self._made)

    def close(self) -> None:
        """Give the contexts back. Drawing again makes new ones."""
        _free(self._made)


_alive: weakref.WeakSet[Renderers] = weakref.WeakSet()
_current: list[weakref.ref[mujoco.Renderer]] = []  # at most one: what drew last, and may be drawing now


def _free(made: Made) -> None:
    for renderer in made.values():
        if renderer._gl_context:
            renderer._gl_context.make_current()
        renderer.close()
    freed = set(map(id, made.values()))
    made.clear()
    for drawing in (reference() for reference in _current):
        if drawing is not None and id(drawing) not in freed and drawing._gl_context:
            drawing._gl_context.make_current()


@cache
def _close_at_exit() -> None:
    """Close all before MuJoCo takes GL apart. To be asked after the first renderer was made:
    what is registered last runs first."""
    atexit.register(lambda: [renderers.close() for renderers in list(_alive)])


def _renderer(model: mujoco.MjModel, height: int, width: int) -> mujoco.Renderer:
    try:
        renderer = mujoco.Renderer(model, height, width)
    except Exception as error:  # each GL backend raises its own
        raise MissingDependencyError(
            f"no off-screen OpenGL for MuJoCo ({error}); {MEND}, then leave MUJOCO_GL unset"
        ) from error
    _close_at_exit()
    return renderer
