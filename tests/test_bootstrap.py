"""Set-up: what makes a stage run again, and what it tells when it cannot."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parents[1]


def load(path: Path) -> ModuleType:
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


bootstrap = load(ROOT / "bootstrap.py")
build_msgs = load(ROOT / "ros_ws" / "build_msgs.py")

INTERFACES = sorted(str(p.relative_to(build_msgs.SOURCE)) for p in build_msgs.interface_files())


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """A copy of the interfaces that a test may change."""
    return Path(shutil.copytree(build_msgs.SOURCE, tmp_path / "vgps_msgs"))


@given(st.lists(st.text()), st.lists(st.text()))
def test_equal_digests_mean_equal_inputs(a: list[str], b: list[str]) -> None:
    assert (bootstrap.digest(*a) == bootstrap.digest(*b)) == (a == b)


def test_digest_follows_the_content_of_files(tmp_path: Path) -> None:
    path = tmp_path / "constraints.txt"
    path.write_text("torch==2.13.0")
    before = bootstrap.digest(path)
    path.write_text("torch==2.13.1")
    assert bootstrap.digest(path) != before
    path.write_text("torch==2.13.0")
    assert bootstrap.digest(path) == before


def test_a_stage_is_done_for_its_own_inputs_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
    assert not bootstrap.stamped("python", "one")
    bootstrap.set_stamp("python", "one")
    assert bootstrap.stamped("python", "one")
    assert not bootstrap.stamped("python", "two")
    assert not bootstrap.stamped("system", "one")


@given(st.integers(0, 5), st.integers(0, 40))
def test_supported_pythons_are_those_the_project_declares(major: int, minor: int) -> None:
    assert bootstrap.supported([major, minor, 0]) == (major == 3 and 10 <= minor < 14)


def test_probe_of_what_is_no_python(tmp_path: Path) -> None:
    assert bootstrap.probe(str(tmp_path / "nothing")) is None
    assert bootstrap.probe(shutil.which("false") or "false") is None
    assert bootstrap.probe(sys.executable)["version"] == list(sys.version_info[:3])


@pytest.mark.parametrize(
    ("names", "cuda"), [(["torch", "sympy"], False), (["torch", "nvidia-cublas"], True), ([], False)]
)
def test_cuda_is_seen_in_a_pip_report(names: list[str], cuda: bool) -> None:
    report = {"install": [{"metadata": {"name": name}} for name in names]}
    assert bootstrap.pulls_cuda(report) is cuda


def test_a_failed_command_says_where_its_log_is_and_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bootstrap, "LOGS", tmp_path)
    with pytest.raises(bootstrap.SetupError) as caught:
        bootstrap.run_logged(
            "pip-install", [sys.executable, "-c", "print('NewConnectionError: no'); raise SystemExit(1)"]
        )
    message = str(caught.value)
    assert "could not be reached" in message and "run the same command again" in message
    assert str(tmp_path / "pip-install.log") in message and "NewConnectionError: no" in message


def test_links_are_those_of_the_wheel_and_can_be_laid_again(tmp_path: Path) -> None:
    """Links to files in real folders, for ros2launch does not follow links to folders."""
    old = tmp_path / "share" / "vgps" / "launch"  # as earlier versions laid it
    old.parent.mkdir(parents=True)
    old.symlink_to(ROOT / "launch")
    for _ in range(2):
        bootstrap.link_into(tmp_path)
        assert (ROOT / "launch" / "sim.launch.py").is_file()
    assert not old.is_symlink() and (old / "sim.launch.py").is_symlink()
    assert (old / "config/fastdds.xml").is_file()
    assert (tmp_path / "share/ament_index/resource_index/packages/vgps").is_file()
    assert os.access(tmp_path / "lib/vgps/sim_node", os.X_OK)
    stale, own = old / "gone.launch.py", old / "mine.launch.py"
    stale.symlink_to(ROOT / "launch" / "gone.launch.py")
    own.write_text("# somebody's own")
    bootstrap.link_into(tmp_path)
    assert not stale.is_symlink() and own.is_file()


@pytest.mark.parametrize("sourced", [False, True])
def test_the_shell_setup_adds_vgps_and_takes_nothing_away(tmp_path: Path, sourced: bool) -> None:
    (tmp_path / "with space").mkdir()
    bootstrap.write_shell_setup(tmp_path / "with space", sourced)
    names = ("AMENT_PREFIX_PATH", "PYTHONPATH", "LD_LIBRARY_PATH", "PATH")
    show = "; ".join(f'printf "%s\\n" "${name}"' for name in names)
    line = f". '{tmp_path}/with space/setup.sh'; {show}"

    def sourcing(**environment: str) -> list[str]:
        done = subprocess.run(
            ["/bin/sh", "-c", line], env={"PATH": os.environ["PATH"]} | environment,
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        return done.stdout.splitlines()

    prefix = f"{tmp_path}/with space"
    ament, python, libraries, path = sourcing(AMENT_PREFIX_PATH="/opt/ros/jazzy", PYTHONPATH="/theirs")
    assert ament == f"{prefix}:/opt/ros/jazzy" and path == f"{os.environ['PATH']}:{prefix}/bin"
    assert python == (f"{prefix}/ros/python:/theirs" if sourced else "/theirs")
    assert libraries == (f"{prefix}/lib" if sourced else "")
    assert sourcing()[0] == prefix


@pytest.mark.parametrize("name", INTERFACES)
def test_messages_are_stale_when_a_file_changes(source: Path, name: str) -> None:
    before = build_msgs.fingerprint(source)
    (source / name).write_text((source / name).read_text() + "# changed\n")
    assert build_msgs.fingerprint(source) != before


def test_messages_are_stale_when_a_file_comes_or_goes_or_ros_changes(source: Path) -> None:
    before = build_msgs.fingerprint(source)
    assert build_msgs.fingerprint(source) == before
    assert build_msgs.fingerprint(source, ros="rclpy 9.9.9") != before
    extra = source / "msg" / "Another.msg"
    extra.write_text("bool flag\n")
    assert build_msgs.fingerprint(source) != before
    extra.unlink()
    assert build_msgs.fingerprint(source) == before
    (source / "msg" / "Scores.msg").unlink()
    assert build_msgs.fingerprint(source) != before


def test_a_build_is_fresh_for_its_own_fingerprint_only(tmp_path: Path) -> None:
    assert not build_msgs.is_fresh(tmp_path, "one")
    stamp = build_msgs.stamp_file(tmp_path)
    stamp.parent.mkdir(parents=True)
    stamp.write_text("one\n")
    assert build_msgs.is_fresh(tmp_path, "one") and not build_msgs.is_fresh(tmp_path, "two")


def test_wheel_exports_point_at_this_interpreter(tmp_path: Path) -> None:
    export = tmp_path / "std_msgs" / "cmake" / "export_std_msgs__rosidl_generator_pyExport.cmake"
    export.parent.mkdir(parents=True)
    there = "/opt/python/cp312-cp312"
    old = f"{there}/include/python3.12;{there}/lib/python3.12/site-packages/numpy/_core/include"
    export.write_text(f'INCLUDE "{old};/usr/include/fine"\n')
    assert build_msgs.patch_wheel_exports(tmp_path) == [export]
    text = export.read_text()
    assert "/opt/python" not in text and "/usr/include/fine" in text
    *folders, _ = text.split('"')[1].split(";")
    assert (Path(folders[1]) / "numpy" / "arrayobject.h").is_file()
    assert build_msgs.patch_wheel_exports(tmp_path) == []


@pytest.mark.skipif(Path(sys.prefix) != ROOT / ".venv", reason="not run from the environment that `make setup` makes")
def test_a_second_setup_has_nothing_to_do() -> None:
    base = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info[1]}"
    command = [str(base), str(ROOT / "bootstrap.py")]
    subprocess.run(command, capture_output=True, check=True)  # the first one, if something was just edited
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "is set up" in done.stdout and "..." not in done.stdout, done.stdout
