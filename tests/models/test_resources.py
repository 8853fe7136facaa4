"""Files of launch/ are found wherever the package is installed, and never by the prefix of Python alone."""

from __future__ import annotations

from pathlib import Path

import pytest

from vgps_models.errors import MissingDependencyError
from vgps_models.resources import launch_file, prefixes


def installed(prefix: Path, *, files: bool = True) -> Path:
    """An ament package `vgps` in a prefix; the path of a module in it."""
    marker = prefix / "share/ament_index/resource_index/packages/vgps"
    marker.parent.mkdir(parents=True)
    marker.touch()
    if files:
        (prefix / "share/vgps/launch/config").mkdir(parents=True)
        (prefix / "share/vgps/launch/config/contract.yaml").write_text(prefix.name)
    module = prefix / "lib/python3.11/site-packages/vgps_models/resources.py"
    module.parent.mkdir(parents=True)
    return module


def find(module: Path, *index: Path) -> str:
    environment = {"AMENT_PREFIX_PATH": ":".join(map(str, index))}
    return launch_file("config", "contract.yaml", environment=environment, module=module).read_text()


def test_the_prefix_of_the_code_comes_before_the_ament_index(tmp_path: Path) -> None:
    mine, other = installed(tmp_path / "mine"), tmp_path / "other"
    installed(other)
    assert find(mine, other) == "mine"


def test_the_ament_index_is_searched_in_its_order(tmp_path: Path) -> None:
    for name in ("first", "second"):
        installed(tmp_path / name)
    nowhere = tmp_path / "elsewhere/lib/python3.11/site-packages/vgps_models/resources.py"
    assert find(nowhere, tmp_path / "missing", tmp_path / "second", tmp_path / "first") == "second"


def test_a_prefix_that_lost_its_files_is_passed_over(tmp_path: Path) -> None:
    broken, whole = installed(tmp_path / "broken", files=False), tmp_path / "whole"
    installed(whole)
    assert find(broken, whole) == "whole"


def test_a_folder_of_pip_target_is_a_prefix(tmp_path: Path) -> None:
    installed(tmp_path / "target")
    assert find(tmp_path / "target" / "vgps_models" / "resources.py") == "target"


def test_the_source_tree_comes_first(tmp_path: Path) -> None:
    source = tmp_path / "source"
    (source / "launch/config").mkdir(parents=True)
    (source / "launch/config/contract.yaml").write_text("source")
    installed(tmp_path / "other")
    assert find(source / "models" / "vgps_models" / "resources.py", tmp_path / "other") == "source"


def test_what_is_missing_is_named_with_the_places(tmp_path: Path) -> None:
    module = installed(tmp_path / "mine", files=False)
    with pytest.raises(MissingDependencyError, match=r"config/nothing\.yaml is in none of .*mine/share/vgps/launch"):
        launch_file("config", "nothing.yaml", module=module)
    assert tmp_path / "mine" in list(prefixes({}, module))
