"""Pictures are drawn whatever was imported or tried before, and where they cannot be the message says what to do.

Whole processes, since MuJoCo and PyOpenGL decide when they are imported.
"""

import os
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import mujoco
import numpy as np
import pytest

from vgps_models.errors import MissingDependencyError, VgpsError
from vgps_sim import offscreen
from vgps_sim.gl_contexts import LIBRARIES
from vgps_sim.offscreen import available, wanted
from vgps_sim.renderers import Renderers
from vgps_sim.world import World

PHYSICS = "from vgps_sim.world import World; w = World('put_carrot_on_plate'); w.reset(0); print(w.time)"
PICTURE = PHYSICS.replace("w.time", "w.images()['front'].std()")

BALL = (
    "<mujoco><visual><global offwidth='64' offheight='48'/></visual><worldbody><light pos='0 0 3'/>"
    "<camera name='eye' pos='0 -1 0' xyaxes='1 0 0 0 0 1'/><geom size='.2' rgba='1 0 0 1'/></worldbody></mujoco>"
)
DRAW = f"""
import os, sys
import mujoco
from vgps_sim.renderers import Renderers
model = mujoco.MjModel.from_xml_string({BALL!r})
data = mujoco.MjData(model)
mujoco.mj_forward(model, data)
ours = Renderers(model)
def draw():
    return int(ours.draw(data, "eye", 48, 64)[..., 0].astype(int).sum())
print(draw())
"""


def run(code: str, hidden: list[str] | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python without a display; `hidden` libraries are not there, which takes a mount namespace."""
    unset = ("MUJOCO_GL", "PYOPENGL_PLATFORM", "DISPLAY", "WAYLAND_DISPLAY")
    clean = {k: v for k, v in os.environ.items() if k not in unset} | environment
    command = [sys.executable, "-c", code]
    if hidden:
        mounts = "; ".join(f"mount --bind /dev/null {path}" for path in hidden)
        command = ["unshare", "-m", "sh", "-c", f'{mounts}; exec "$@"', "_", *command]
    return subprocess.run(
        command, env=clean, capture_output=True, text=True, encoding="utf-8", timeout=120, check=False
    )


def files_of(*names: str) -> list[str]:
    """Where the libraries really lie, as the loader finds them."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("hiding a library needs root and unshare")
    listing = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, encoding="utf-8", check=True).stdout
    files = [line.rpartition("=> ")[2] for line in listing.splitlines() for n in names if n in line]
    return sorted({str(Path(f).resolve()) for f in files})


def ball() -> tuple[Renderers, mujoco.MjData]:
    model = mujoco.MjModel.from_xml_string(BALL)
    data = mujoco.MjData(model)
    mujoco.mj_forward(model, data)
    return Renderers(model), data


def drawn() -> int:
    """The same number as `DRAW` prints."""
    renderers, data = ball()
    return int(renderers.draw(data, "eye", 48, 64)[..., 0].astype(int).sum())


def test_a_renderer_is_chosen_when_none_is_named():
    assert any(available(name) for name in LIBRARIES)
    done = run(PICTURE)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 1 and not done.stderr, done.stderr


@pytest.mark.parametrize(
    "before, environment",
    [
        ("import mujoco", {}),
        ("import mujoco, mujoco.viewer", {"DISPLAY": "elsewhere:10.0", "WAYLAND_DISPLAY": "wayland-9"}),
        ("import OpenGL.GL, mujoco", {"PYOPENGL_PLATFORM": "glx"}),
        ("import glfw, warnings; warnings.simplefilter('ignore'); assert not glfw.init()", {}),
        ("", {"MUJOCO_GL": "egl", "PYOPENGL_PLATFORM": "osmesa"}),
        ("", {"MUJOCO_GL": " OSMesa "}),
        ("import mujoco", {"MUJOCO_GL": "osmesa", "PYOPENGL_PLATFORM": "egl", "DISPLAY": ":77"}),
        ("import ctypes; ctypes.CDLL('libEGL.so.1', mode=ctypes.RTLD_GLOBAL)", {"MUJOCO_GL": "osmesa"}),
    ],
)
def test_whatever_is_imported_or_set_before_a_picture_is_drawn(before, environment):
    done = run(f"{before}\n{DRAW}", **environment)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == pytest.approx(drawn(), rel=1e-3)


def test_the_environment_of_other_processes_stays_as_it_is():
    done = run(f"import os; before = dict(os.environ)\n{DRAW}\nassert dict(os.environ) == before")
    assert done.returncode == 0, done.stderr


def test_pictures_of_mujocos_own_renderer_in_the_same_process_stay_as_they_are():
    renderers, data = ball()
    theirs = mujoco.Renderer(renderers._model, 48, 64)
    theirs.update_scene(data, "eye")
    before, ours = theirs.render().copy(), renderers.draw(data, "eye", 48, 64)
    np.testing.assert_array_equal(theirs.render(), before)
    renderers.close()
    np.testing.assert_array_equal(theirs.render(), before)
    theirs.close()
    np.testing.assert_array_equal(renderers.draw(data, "eye", 48, 64), ours)


def test_after_a_display_has_failed_the_message_says_what_to_do():
    """MuJoCo would end the process: it looks for the functions of OpenGL once."""
    before = (
        "import mujoco, warnings; warnings.simplefilter('ignore')\n"
        "try:\n    mujoco.Renderer(mujoco.MjModel.from_xml_string('<mujoco/>'))\n"
        "except mujoco.FatalError:\n    print('failed')"
    )
    twice = DRAW.replace("print(draw())", "try:\n    draw()\nexcept Exception:\n    draw()")
    done = run(f"{before}\n{twice}", DISPLAY=":77")
    assert done.returncode == 1 and done.stdout.split() == ["failed"]
    assert "start Python again with MUJOCO_GL=egl set" in done.stderr


@pytest.mark.parametrize(
    "value, words",
    [
        ("glfw", "MUJOCO_GL=glfw cannot draw here (glfw: GLFW opens no window on DISPLAY=''); unset MUJOCO_GL; or set"),
        (
            "elg",
            "MUJOCO_GL=elg is no renderer, and MuJoCo cannot be imported with it; choose one of: egl, osmesa, glfw",
        ),
        ("disabled", "MUJOCO_GL=disabled turns pictures off; unset it"),
    ],
)
def test_a_wish_that_cannot_be_met_names_the_cure(value, words):
    done = run(DRAW.replace("import mujoco\n", ""), MUJOCO_GL=value) if value == "elg" else run(DRAW, MUJOCO_GL=value)
    assert done.returncode == 1 and words in done.stderr and "GLFWError" not in done.stderr


def test_values_of_mujoco_gl_mean_what_they_mean_to_mujoco():
    for value, meant in {
        "": "",
        "1": "",
        "Enabled": "",
        "EGL": "egl",
        "0": "off",
        "False": "off",
        "glx": "glfw",
    }.items():
        assert wanted({"MUJOCO_GL": value}) == meant
    with pytest.raises(MissingDependencyError, match="unset MUJOCO_GL"):
        wanted({"MUJOCO_GL": "opengl"})


def test_a_device_that_is_not_there_is_named():
    done = run(DRAW, MUJOCO_EGL_DEVICE_ID="7", MUJOCO_GL="egl")
    assert done.returncode == 1 and "MUJOCO_EGL_DEVICE_ID=7, but EGL has devices 0 to" in done.stderr


def test_a_named_library_that_is_missing_is_told():
    done = run("import vgps_sim", files_of("libEGL.so.1"), MUJOCO_GL="egl")
    assert "MUJOCO_GL=egl, but its library is missing" in done.stderr and "libegl1" in done.stderr


@pytest.mark.parametrize("hidden", [("libEGL.so.1",), ("libEGL_mesa.so",)], ids=["no library", "no driver"])
def test_without_egl_osmesa_draws(hidden):
    done = run(f"import mujoco\n{DRAW}", files_of(*hidden))
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) == pytest.approx(drawn(), rel=1e-3)


def test_without_any_library_physics_runs_and_pictures_say_what_to_install():
    hidden = files_of("libEGL.so.1", "libOSMesa.so")
    done = run(PHYSICS, hidden)
    assert done.returncode == 0 and float(done.stdout) == 0.0, done.stderr
    done = run(PICTURE, hidden)
    assert "no off-screen OpenGL" in done.stderr and "libegl1" in done.stderr


FORKED = """
def forked(more=0):
    child = os.fork()
    if not child:
        import signal
        signal.alarm(30)
        assert draw() == first, "the picture of before"
        fresh = Renderers(model)
        assert int(fresh.draw(data, "eye", 48, 64)[..., 0].astype(int).sum()) == first, "a new one"
        fresh.close()
        if more:
            forked(more - 1)
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0, "a forked process failed"
first = draw()
forked(more=1)
assert draw() == first
"""


@pytest.mark.parametrize("environment", [{}, {"LP_NUM_THREADS": "3"}, {"MUJOCO_GL": "osmesa"}], ids=str)
def test_a_forked_process_draws(environment):
    """Also where Mesa draws by threads, which are missing in the child."""
    done = run(f"import mujoco\n{DRAW}\n{FORKED}", **environment)
    assert done.returncode == 0, done.stderr


def test_a_forked_process_draws_where_mujocos_own_renderer_has_drawn_by_threads():
    theirs = "own = mujoco.Renderer(model, 48, 64); own.update_scene(data, 'eye'); own.render(); first = FIRST"
    code = DRAW.replace("print(draw())", theirs) + FORKED.replace("first = draw()", "")
    done = run(code.replace("FIRST", str(drawn())), MUJOCO_GL="egl", LP_NUM_THREADS="2")
    assert done.returncode == 0, done.stderr


def test_a_forked_process_that_cannot_draw_says_so_and_does_not_hang():
    child = "    import signal; signal.alarm(30)\n    try:\n        draw()\n    except Exception as error:\n"
    child += "        print(error, flush=True)\n    os._exit(3)"
    code = f"{DRAW}\nchild = os.fork()\nif not child:\n{child}\nprint(os.waitpid(child, 0)[1] // 256)"
    done = run(code, MUJOCO_GL="osmesa", LP_NUM_THREADS="3")
    assert "forked from one that draws in several threads: set LP_NUM_THREADS=0" in done.stdout
    assert done.returncode == 0 and done.stdout.split()[-1] == "3"


def test_any_thread_draws_and_several_at_a_time():
    world = World("put_carrot_on_plate", cameras=("front",))
    world.reset(3)
    mine, seen = world.images()["front"], {}

    def look(name: str, other: World, times: int) -> None:
        seen[name] = [other.images()["front"] for _ in range(times)]

    elsewhere = threading.Thread(target=look, args=("elsewhere", world, 1))
    elsewhere.start()
    elsewhere.join()
    worlds = [World("put_carrot_on_plate", cameras=("front",)) for _ in range(3)]
    for other in worlds:
        other.reset(3)
    threads = [threading.Thread(target=look, args=(str(i), other, 5)) for i, other in enumerate([*worlds, world])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(seen) == 5 and all((image == mine).all() for images in seen.values() for image in images)
    for other in (world, *worlds):
        other.close()


@pytest.fixture
def display():
    if not shutil.which("Xvfb"):
        pytest.skip("a display needs Xvfb (Debian: xvfb)")
    read, write = os.pipe()
    server = subprocess.Popen(["Xvfb", "-displayfd", str(write), "-screen", "0", "64x48x24"], pass_fds=[write])
    os.close(write)
    with open(read, encoding="utf-8") as number:
        yield f":{number.readline().strip()}"
    server.terminate()
    server.wait()


def test_on_a_display_windows_and_pictures_do_not_disturb_each_other(display):
    window = (
        "import glfw\nassert glfw.init()\nglfw.window_hint(glfw.VISIBLE, 0)\n"
        "window = glfw.create_window(8, 8, 'window', None, None)\nglfw.make_context_current(window)"
    )
    same = "import ctypes\nassert ctypes.addressof(glfw.get_current_context().contents) == " + (
        "ctypes.addressof(window.contents)"
    )
    for code, asked in ((f"{window}\n{DRAW}\n{same}", ""), (DRAW, "glfw")):
        done = run(code, DISPLAY=display, MUJOCO_GL=asked)
        assert done.returncode == 0, done.stderr
        assert int(done.stdout) == pytest.approx(drawn(), rel=1e-3)


def test_a_picture_that_is_too_large_is_refused():
    renderers, data = ball()
    for height, width in ((48, 65), (49, 64), (0, 64)):
        with pytest.raises(VgpsError, match="at most 64 x 48"):
            renderers.draw(data, "eye", height, width)
    assert renderers.depth(data, "eye", 48, 64).min() == pytest.approx(0.8, abs=0.01)


def test_a_closed_scene_draws_again_and_a_failure_leaves_nothing_behind(monkeypatch):
    renderers, data = ball()
    before = renderers.draw(data, "eye", 48, 64)
    renderers.close()
    renderers.close()
    assert not renderers
    monkeypatch.setattr(offscreen, "_chosen", "glfw")
    monkeypatch.delenv("DISPLAY", raising=False)
    with pytest.raises(MissingDependencyError, match="GLFW opens no window"):
        renderers.draw(data, "eye", 48, 64)
    monkeypatch.undo()
    np.testing.assert_array_equal(renderers.draw(data, "eye", 48, 64), before)
