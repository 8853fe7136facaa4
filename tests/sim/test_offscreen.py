"""Missing OpenGL says what to install. Whole processes, since MuJoCo decides when it is imported."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from vgps_sim.offscreen import LIBRARIES, available

PHYSICS = "from vgps_sim.world import World; w = World('put_carrot_on_plate'); w.reset(0); print(w.time)"
PICTURE = PHYSICS.replace("w.time", "w.images()['front'].std()")


def run(code: str, hidden: list[str] | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run Python without a display; `hidden` libraries are not there, which takes a mount namespace."""
    clean = {k: v for k, v in os.environ.items() if k not in ("MUJOCO_GL", "DISPLAY")} | environment
    command = [sys.executable, "-c", code]
    if hidden:
        mounts = "; ".join(f"mount --bind /dev/null {path}" for path in hidden)
        command = ["unshare", "-m", "sh", "-c", f'{mounts}; exec "$@"', "_", *command]
    return subprocess.run(command, env=clean, capture_output=True, text=True, timeout=120, check=False)


def files_of(*names: str) -> list[str]:
    """Where the libraries really lie, as the loader finds them."""
    if os.geteuid() != 0 or not shutil.which("unshare"):
        pytest.skip("hiding a library needs root and unshare")
    listing = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    files = [line.rpartition("=> ")[2] for line in listing.splitlines() for n in names if n in line]
    return sorted({str(Path(f).resolve()) for f in files})


def test_a_renderer_is_chosen_when_none_is_named():
    assert any(available(name) for name in LIBRARIES)
    done = run(PICTURE)
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) > 1 and not done.stderr, done.stderr


def test_a_named_library_that_is_missing_is_told():
    done = run("import vgps_sim", files_of("libEGL.so.1"), MUJOCO_GL="egl")
    assert "MUJOCO_GL=egl, but its library is missing" in done.stderr and "libegl1" in done.stderr


def test_without_any_library_physics_runs_and_pictures_say_what_to_install():
    hidden = files_of("libEGL.so.1", "libOSMesa.so")
    done = run(PHYSICS, hidden)
    assert done.returncode == 0 and float(done.stdout) == 0.0, done.stderr
    done = run(PICTURE, hidden)
    assert "no off-screen OpenGL" in done.stderr and "libegl1" in done.stderr
