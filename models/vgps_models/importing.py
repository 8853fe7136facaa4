"""Something to do when a module is imported, without importing it for that."""

from __future__ import annotations

import importlib.abc
import sys
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType


def when_imported(
    name: str, *, before: Callable[[], None] | None = None, after: Callable[[], None] | None = None
) -> None:
    """Call `before` and `after` around the import of a module that is not imported yet.

    An error of `before` is the error of the import, which may be tried again. To be asked for once.
    """
    sys.meta_path.insert(0, _Around(name, before, after))


class _Around(importlib.abc.MetaPathFinder):
    """Finds the module as the finders after it do; only a real import runs its code, and what is to be called."""

    def __init__(self, name: str, before: Callable[[], None] | None, after: Callable[[], None] | None) -> None:
        self._name, self._before, self._after = name, before, after

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname != self._name:
            return None
        later = sys.meta_path[sys.meta_path.index(self) + 1 :] if self in sys.meta_path else []
        spec = next((found for finder in later if (found := finder.find_spec(fullname, path, target))), None)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def around(module: ModuleType) -> None:
                if self._before:
                    self._before()
                execute(module)
                if self in sys.meta_path:
                    sys.meta_path.remove(self)
                if self._after:
                    self._after()

            spec.loader.exec_module = around  # type: ignore[method-assign]
        return spec
