"""`vgps doctor`: every finding says what it found, and every fault how to mend it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import save_file

from vgps_node import doctor, ros_environment
from vgps_node.doctor import Finding


@pytest.fixture(scope="module")
def findings() -> list[Finding]:
    return doctor.examine()


def test_every_finding_is_complete(findings: list[Finding]) -> None:
    assert len({finding.what for finding in findings}) == len(findings) >= len(doctor.CHECKS)
    for finding in findings:
        assert finding.state in doctor.COLOURS and finding.detail
        assert finding.state == "ok" or finding.mend, f"{finding.what} does not say what mends it"


def test_this_machine_can_run_the_graph(findings: list[Finding]) -> None:
    """`make test` has just set it up; checkpoints are data, not set-up."""
    faults = [f for f in findings if f.state == "missing" and f.what != "checkpoints"]
    assert not faults, faults


def test_json_and_exit_code_say_the_same() -> None:
    code = "import sys; from vgps_node.doctor import doctor; sys.exit(doctor(json=True))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, encoding="utf-8")
    report = json.loads(done.stdout)
    assert report["ok"] == all(finding["state"] != "missing" for finding in report["findings"])
    assert done.returncode == (0 if report["ok"] else 1)


def test_importing_the_doctor_loads_nothing_heavy() -> None:
    code = "import sys, vgps_node.doctor; assert not {'rclpy', 'torch', 'mujoco'} & set(sys.modules)"
    assert doctor.attempt(code)[0]


def test_attempt_tells_success_and_the_last_line_of_a_failure() -> None:
    assert doctor.attempt("print('first'); print('last')") == (True, "last")
    assert doctor.attempt("raise ValueError('why')") == (False, "ValueError: why")


def test_small_shared_memory_is_noted(tmp_path: Path) -> None:
    assert doctor.shared_memory(tmp_path, need=2**60).state == "note"
    assert doctor.shared_memory(tmp_path, need=0).state == "ok"
    assert doctor.shared_memory(tmp_path / "nothing").mend


def test_checkpoints_are_named_when_they_cannot_be_read(tmp_path: Path) -> None:
    assert doctor.checkpoints(tmp_path).state == "missing"
    save_file({"w": np.zeros(2, np.float32)}, tmp_path / "good.safetensors")
    (tmp_path / "good.json").write_text("{}", encoding="utf-8")
    assert doctor.checkpoints(tmp_path) == Finding("checkpoints", "ok", "good")
    (tmp_path / "torn.safetensors").write_bytes((tmp_path / "good.safetensors").read_bytes()[:-3])
    (tmp_path / "torn.json").write_text("{}", encoding="utf-8")
    (tmp_path / "alone.safetensors").write_bytes((tmp_path / "good.safetensors").read_bytes())
    found = doctor.checkpoints(tmp_path)
    assert found.state == "missing" and found.mend
    assert "torn.safetensors" in found.detail and "alone.safetensors" in found.detail and "good" not in found.detail


def test_transport_is_what_the_user_chose(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in ros_environment.PROFILE_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv(ros_environment.DISCOVERY_VARIABLE, "LOCALHOST")
    assert doctor.transport().state == "ok"
    monkeypatch.setenv(ros_environment.DISCOVERY_VARIABLE, "SUBNET")
    assert doctor.transport().state == "note"
    monkeypatch.setenv(ros_environment.PROFILE_VARIABLES[0], str(tmp_path / "nothing.xml"))
    assert doctor.transport().state == "missing"


def test_rendering_is_judged_as_the_simulator_draws_here(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("MUJOCO_GL", "PYOPENGL_PLATFORM", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("DISPLAY", ":77")
    (found,) = doctor.graphics()
    assert found.state == "ok" and "chosen here" in found.detail and "DISPLAY=:77 is not needed" in found.detail


@pytest.mark.parametrize("value", ["glfw", "elg"])
def test_a_renderer_that_cannot_work_here_is_named_with_its_cure(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setenv("MUJOCO_GL", value)
    (found,) = doctor.graphics()
    assert found == Finding("rendering", "missing", found.detail, "unset MUJOCO_GL")
    assert found.detail.startswith(f"MUJOCO_GL={value}")


def test_a_contradiction_of_pyopengl_is_noted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUJOCO_GL", "egl")
    monkeypatch.setenv("PYOPENGL_PLATFORM", "osmesa")
    drawn, clash = doctor.graphics()
    assert drawn.state == "ok" and clash.state == "note" and clash.mend == "unset PYOPENGL_PLATFORM"


@pytest.mark.parametrize(
    ("name", "value", "mend"),
    [
        ("RMW_IMPLEMENTATION", "rmw_nothing_cpp", "unset RMW_IMPLEMENTATION"),
        ("ROS_DOMAIN_ID", "233", "ROS_DOMAIN_ID=0"),
    ],
)
def test_a_middleware_or_domain_that_no_node_starts_with_is_named(
    name: str, value: str, mend: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, value)
    (variable,), node = doctor.environment(), doctor.rclpy()
    assert (variable.what, variable.state, node.state) == (name, "missing", "missing")
    assert mend in variable.mend and node.mend == variable.mend
    assert f"{name}={value}" in variable.detail and f"{name}={value}" in node.detail


def test_packages_that_cannot_be_imported_are_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "PIL").mkdir()
    words = "numpy.core.multiarray failed to import"
    (tmp_path / "PIL" / "__init__.py").write_text(f"raise ImportError('{words}')", encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(doctor, "COMPILED", ("numpy", "PIL.Image"))
    found = doctor.compiled()
    assert found.state == "missing" and found.detail == f"PIL.Image: ImportError: {words}"


def test_the_table_shows_what_is_in_brackets(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    finding = Finding("libraries", "missing", "no [torch]", "pip install 'vgps[ros]'")
    monkeypatch.setattr(doctor, "examine", lambda: [finding])
    assert doctor.doctor() == 1
    out = capsys.readouterr().out
    assert "[torch]" in out and "vgps[ros]" in out


def test_an_install_for_the_simulator_alone_is_sound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "from_source", lambda: False)
    find = doctor.importlib.machinery.PathFinder.find_spec
    monkeypatch.setattr(
        doctor.importlib.machinery.PathFinder, "find_spec", lambda name, *a: None if name == "rclpy" else find(name, *a)
    )
    found = doctor.rclpy()
    assert found.state == "note" and "eval" in found.detail
    judged = {finding.what for finding in doctor.examine()}
    assert "ROS 2 (rclpy)" in judged and not judged & {"messages (vgps_msgs)", "Fast DDS profile"}
