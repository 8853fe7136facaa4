"""OpenGL contexts that need no window: EGL and OSMesa, spoken to directly.

MuJoCo's own context classes go through PyOpenGL, which settles on one library for the whole process when it is first
imported, by whatever is imported first; and MuJoCo chooses among them once, when it is imported itself. The contexts
here depend on neither, are current only while they are used, so that any thread may use them next, and work in a
forked process too.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from ctypes import POINTER, byref, c_int, c_void_p
from typing import Any

LIBRARIES = {"egl": ("libEGL.so.1",), "osmesa": ("libOSMesa.so.8", "libOSMesa.so.6")}


class ContextError(Exception):
    """A library of OpenGL is missing, or makes no context; the message says which and why."""


def load(name: str, mode: int = ctypes.DEFAULT_MODE) -> ctypes.CDLL:
    """The library of `egl` or `osmesa`. mode: RTLD_GLOBAL lets others find its functions by name."""
    problems = []
    for library in LIBRARIES[name]:
        try:
            return ctypes.CDLL(library, mode)
        except OSError as error:
            problems.append(str(error))
    raise ContextError("; ".join(problems))


class Context:
    """`with context.current():` makes it the thread's OpenGL context; the one before is current again afterwards."""

    _thread = threading.local()  # .context: which of these is current in a thread

    @contextmanager
    def current(self) -> Iterator[None]:
        before: Context | None = getattr(self._thread, "context", None)
        foreign = None if before else self._foreign()
        self._enter()
        self._thread.context = self
        try:
            yield
        finally:
            self._thread.context = before
            if before is not None:
                before._enter()
            else:
                self._leave(foreign)

    def free(self) -> None:
        """Give it back. Not while it is current."""
        raise NotImplementedError

    def _enter(self) -> None:
        raise NotImplementedError

    def _leave(self, foreign: Any) -> None:
        """Let no context be current, or the one of somebody else that `_foreign` has found."""
        raise NotImplementedError

    def _foreign(self) -> Any:
        return None


@contextmanager
def without_threads(*, always: bool = False) -> Iterator[None]:
    """Mesa draws in the thread that asks, as it does when LP_NUM_THREADS is 0 while a screen is made.

    Threads of its own would be missing in a forked process, which then waits for them for ever; for scenes like these
    they gain nothing. always: also where the user has set LP_NUM_THREADS to more than 1.
    """
    before = os.environ.get("LP_NUM_THREADS")
    if always or before in (None, "", "1"):
        os.environ["LP_NUM_THREADS"] = "0"
    try:
        yield
    finally:
        if before is None:
            os.environ.pop("LP_NUM_THREADS", None)
        else:
            os.environ["LP_NUM_THREADS"] = before


class Egl(Context):
    """A context without a surface on the first device that EGL can use, or on $MUJOCO_EGL_DEVICE_ID."""

    _lock = threading.RLock()
    _api: Any = None
    _display: Any = None
    _process = 0  # that made the display
    CONFIG = (
        0x3024, 8, 0x3023, 8, 0x3022, 8, 0x3021, 8, 0x3025, 24, 0x3026, 8,  # red, green, blue, alpha, depth, stencil
        0x3033, 0x0001, 0x3040, 0x0008, 0x3038,  # drawn off screen, by OpenGL
    )  # fmt: skip

    def __init__(self) -> None:
        with self._lock:
            self._egl, self._on = Egl._ready()
        config, count = (c_void_p * 1)(), c_int()
        wanted = (c_int * len(self.CONFIG))(*self.CONFIG)
        if not self._egl.eglChooseConfig(self._on, wanted, config, 1, byref(count)) or count.value < 1:
            raise ContextError(f"EGL has no frame buffer with 8 bits a colour and 24 bits of depth{self._why()}")
        self._egl.eglBindAPI(0x30A2)  # OpenGL, not OpenGL ES
        self._context = self._egl.eglCreateContext(self._on, config[0], None, None)
        if not self._context:
            raise ContextError(f"EGL makes no OpenGL context{self._why()}")
        load("egl", ctypes.RTLD_GLOBAL)  # MuJoCo takes OpenGL's functions from the library that it finds by name

    def free(self) -> None:
        if self._context:
            self._egl.eglDestroyContext(self._on, self._context)
        self._context = None

    def _enter(self) -> None:
        self._egl.eglBindAPI(0x30A2)
        if self._egl.eglMakeCurrent(self._on, None, None, self._context):
            return
        glfw: Any = sys.modules.get("glfw")
        window = glfw and glfw.get_current_context()
        if window:  # it is current in this thread, and in the way
            glfw.make_context_current(None)
            self._thread.window = window
            if self._egl.eglMakeCurrent(self._on, None, None, self._context):
                return
        raise ContextError(f"EGL cannot make its context current{self._why()}")

    def _leave(self, foreign: Any) -> None:
        self._egl.eglMakeCurrent(*(foreign or (self._on, None, None, None)))
        if window := getattr(self._thread, "window", None):
            sys.modules["glfw"].make_context_current(window)
            self._thread.window = None

    def _foreign(self) -> Any:
        """(display, draw surface, read surface, context) of an EGL context that is not of this class."""
        context = self._egl.eglGetCurrentContext()
        if not context:
            return None
        surfaces = (self._egl.eglGetCurrentSurface(0x3059), self._egl.eglGetCurrentSurface(0x305A))
        return (self._egl.eglGetCurrentDisplay(), *surfaces, context)

    def _why(self) -> str:
        return f" (EGL error 0x{self._egl.eglGetError():x})"

    @classmethod
    def _ready(cls) -> tuple[Any, Any]:
        """(EGL, an initialised display of this process)."""
        if cls._api is None:
            cls._api = _declared(load("egl"))
        if cls._process != os.getpid():
            cls._display = cls._made_display(inherited=cls._display)
            cls._process = os.getpid()
        return cls._api, cls._display

    @classmethod
    def _made_display(cls, inherited: Any) -> Any:
        """A display of a device; in a process that was forked from one that draws, a fresh one without threads."""
        egl, problems = cls._api, []
        if not (inherited or _threads_lost):
            with without_threads():
                for device in cls._devices():
                    display = egl.eglGetPlatformDisplayEXT(0x313F, device, None)
                    if display and egl.eglInitialize(display, None, None):
                        return display
                    problems.append(f"device: EGL error 0x{egl.eglGetError():x}")
        with without_threads(always=True):
            display = egl.eglGetPlatformDisplayEXT(0x31DD, None, None)  # Mesa's, without a surface
            if display and egl.eglInitialize(display, None, None):
                return display
        problems.append(f"without a device: EGL error 0x{egl.eglGetError():x}")
        if inherited and not _threads_lost:
            return inherited
        lost = ", and this process was forked from one that draws: start it by 'spawn'" if _threads_lost else ""
        raise ContextError(f"EGL finds no driver that draws off screen ({'; '.join(problems)}){lost}")

    @classmethod
    def _devices(cls) -> list[Any]:
        egl, count = cls._api, c_int()
        if not egl.eglQueryDevicesEXT(0, None, byref(count)) or not count.value:
            return []
        devices = (c_void_p * count.value)()
        egl.eglQueryDevicesEXT(count.value, devices, byref(count))
        chosen = os.environ.get("MUJOCO_EGL_DEVICE_ID", "").strip()
        if not chosen:
            return list(devices)
        if not chosen.isdigit() or int(chosen) >= len(devices):
            raise ContextError(f"MUJOCO_EGL_DEVICE_ID={chosen}, but EGL has devices 0 to {len(devices) - 1}")
        return [devices[int(chosen)]]


class OsMesa(Context):
    """Drawn by the processor, without any driver."""

    _lib: Any = None

    def __init__(self) -> None:
        if OsMesa._lib is None:
            lib = load("osmesa")
            lib.OSMesaCreateContextExt.restype = c_void_p
            lib.OSMesaCreateContextExt.argtypes = [c_int, c_int, c_int, c_int, c_void_p]
            lib.OSMesaMakeCurrent.argtypes = [c_void_p, c_void_p, c_int, c_int, c_int]
            lib.OSMesaDestroyContext.argtypes = [c_void_p]
            OsMesa._lib = lib
        if _threads_lost:
            raise ContextError(
                "OSMesa cannot draw in a process that was forked from one that draws in several threads: set "
                "LP_NUM_THREADS=0 before the first picture, or start processes by 'spawn'"
            )
        with without_threads():
            self._context = self._lib.OSMesaCreateContextExt(0x1908, 24, 8, 0, None)  # RGBA, depth, stencil
        if not self._context:
            raise ContextError("OSMesa makes no context")
        load("osmesa", ctypes.RTLD_GLOBAL)
        self._buffer = (ctypes.c_ubyte * (4 * 16 * 16))()  # MuJoCo draws into a frame buffer of its own

    def free(self) -> None:
        if self._context:
            self._lib.OSMesaDestroyContext(self._context)
        self._context = None

    def _enter(self) -> None:
        with without_threads():
            if not self._lib.OSMesaMakeCurrent(self._context, self._buffer, 0x1401, 16, 16):
                raise ContextError("OSMesa cannot make its context current")

    def _leave(self, foreign: Any) -> None:
        self._lib.OSMesaMakeCurrent(None, None, 0, 0, 0)


class Window(Context):
    """Of an invisible window, by GLFW; needs a display."""

    def __init__(self) -> None:
        glfw: Any = importlib.import_module("glfw")  # MuJoCo brings it
        self._glfw, self._window = glfw, None
        with _quiet(glfw):
            if glfw.init():
                glfw.window_hint(glfw.VISIBLE, 0)
                self._window = glfw.create_window(16, 16, "invisible", None, None)
        if not self._window:
            raise ContextError(f"GLFW opens no window on DISPLAY='{os.environ.get('DISPLAY', '')}'")

    def free(self) -> None:
        if self._window:
            self._glfw.destroy_window(self._window)
        self._window = None

    def _enter(self) -> None:
        self._glfw.make_context_current(self._window)

    def _leave(self, foreign: Any) -> None:
        self._glfw.make_context_current(foreign)

    def _foreign(self) -> Any:
        return self._glfw.get_current_context()


KINDS: dict[str, type[Context]] = {"egl": Egl, "osmesa": OsMesa, "glfw": Window}


def _declared(lib: Any) -> Any:
    """libEGL with the types of what is called; functions of extensions become attributes too."""
    pointer, number, out = c_void_p, c_int, POINTER(c_int)
    core = {
        "eglInitialize": (number, pointer, out, out),
        "eglChooseConfig": (number, pointer, out, POINTER(c_void_p), number, out),
        "eglBindAPI": (number, number),
        "eglCreateContext": (pointer, pointer, pointer, pointer, out),
        "eglMakeCurrent": (number, pointer, pointer, pointer, pointer),
        "eglDestroyContext": (number, pointer, pointer),
        "eglGetCurrentContext": (pointer,),
        "eglGetCurrentDisplay": (pointer,),
        "eglGetCurrentSurface": (pointer, number),
        "eglGetError": (number,),
        "eglGetProcAddress": (pointer, ctypes.c_char_p),
    }
    for name, (result, *arguments) in core.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    extensions = {
        "eglQueryDevicesEXT": (number, number, POINTER(c_void_p), out),
        "eglGetPlatformDisplayEXT": (pointer, number, pointer, out),
    }
    for name, (result, *arguments) in extensions.items():
        address = lib.eglGetProcAddress(name.encode())
        if not address:
            raise ContextError(f"this EGL has no {name}")
        setattr(lib, name, ctypes.CFUNCTYPE(result, *arguments)(address))
    return lib


@contextmanager
def _quiet(glfw: Any) -> Iterator[None]:
    """GLFW's warnings are silent: that there is no display is said by the error that follows."""
    before, glfw.ERROR_REPORTING = glfw.ERROR_REPORTING, False
    try:
        yield
    finally:
        glfw.ERROR_REPORTING = before


_threads_before_fork = _threads_lost = False


def _before_fork() -> None:
    """Does anything in this process draw with threads of Mesa's? The child will not have them."""
    global _threads_before_fork
    if "mujoco" in sys.modules:
        names = [f"/proc/self/task/{task}/comm" for task in os.listdir("/proc/self/task")]
        _threads_before_fork = any(_text(name).startswith("llvmpipe") for name in names)


def _in_child() -> None:
    global _threads_lost
    _threads_lost = _threads_lost or _threads_before_fork


def _text(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:  # a thread that has ended meanwhile
        return ""


os.register_at_fork(before=_before_fork, after_in_child=_in_child)
