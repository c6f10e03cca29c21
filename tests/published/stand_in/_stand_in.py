"""Replaces packages that `import lightly` imports and that its API client never uses.

Every name in such a package exists: a module if it is imported, otherwise a class that can be subclassed, called, and
used as a decorator or type. Nothing computes anything.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any


class _Names(type):
    """Makes every attribute of a stand-in another stand-in, except names that are special in Python."""

    def __getattr__(cls, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = _stand_in(name, cls.__module__)
        setattr(cls, name, found)
        return found


class _StandIn(metaclass=_Names):
    def __init__(self, *arguments: Any, **named: Any) -> None:
        pass

    def __call__(self, decorated: Any = None, *arguments: Any, **named: Any) -> Any:
        return decorated


def _stand_in(name: str, module: str) -> type:
    return _Names(name, (_StandIn,), {"__module__": module})


class _Finder(MetaPathFinder, Loader):
    """Finds every module in the packages that `take_place` was called for."""

    def __init__(self) -> None:
        self.packages: set[str] = set()

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname.partition(".")[0] in self.packages:
            return ModuleSpec(fullname, self, is_package=True)
        return None

    def exec_module(self, module: ModuleType) -> None:
        _give_names(module)


_finder = _Finder()


def _give_names(module: ModuleType) -> None:
    def get(name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        found = _stand_in(name, module.__name__)
        setattr(module, name, found)
        return found

    module.__dict__["__getattr__"] = get


def take_place(package: str) -> None:
    """Give a package, which is being imported, every attribute and every submodule."""
    if _finder not in sys.meta_path:
        sys.meta_path.append(_finder)
    _finder.packages.add(package)
    _give_names(sys.modules[package])
