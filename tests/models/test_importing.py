"""Code around the import of a module runs when it is imported, and not when it is only looked for."""

import importlib
import importlib.util
import sys

import pytest

from vgps_models.importing import when_imported


@pytest.fixture
def module(tmp_path, monkeypatch):
    name = "vgps_test_imported"
    (tmp_path / f"{name}.py").write_text("DONE = 1\n", encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    finders = list(sys.meta_path)
    yield name
    sys.meta_path[:] = finders
    sys.modules.pop(name, None)


def test_before_and_after_run_around_an_import_once(module):
    seen = []
    when_imported(module, before=lambda: seen.append(module in sys.modules))
    when_imported(module, after=lambda: seen.append(sys.modules[module].DONE))
    found = importlib.util.find_spec(module)
    assert found is not None and str(found.origin).endswith(".py") and seen == []
    assert importlib.import_module(module).DONE == 1 and seen == [True, 1]
    sys.modules.pop(module)
    importlib.import_module(module)
    assert len(seen) == 2 and importlib.util.find_spec(module) is not None


def test_an_error_before_is_that_of_the_import_which_may_be_tried_again(module):
    refused = [ValueError("not now")]

    def before():
        if refused:
            raise refused.pop()

    when_imported(module, before=before)
    with pytest.raises(ValueError, match="not now"):
        importlib.import_module(module)
    assert module not in sys.modules and importlib.import_module(module).DONE == 1


def test_a_module_that_is_not_there_stays_missing(module):
    when_imported("vgps_no_such_module", before=lambda: pytest.fail("it is not there"))
    assert importlib.util.find_spec("vgps_no_such_module") is None
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("vgps_no_such_module")
