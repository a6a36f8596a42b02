"""Acting when a framework is imported, instead of importing it: some take seconds."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import sys
from collections.abc import Callable, Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import Any

_log = logging.getLogger("runguard")
_waiting: dict[str, list[Callable[[], None]]] = {}


def on_import(module: str, action: Callable[[], None]) -> None:
    """Run an action once a module has been imported: now if it is there already, else right after its first import.

    Args:
        module: its full name.
        action: takes nothing. What it raises later, inside the program's own import, is logged.
    """
    if _is_ready(sys.modules.get(module)):
        action()
        return
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
    _waiting.setdefault(module, []).append(action)


class Hook:
    """An adapter's hook into a framework, which waits for the program's own import of it. What is wanted last holds."""

    def __init__(self, framework: str, module: str) -> None:
        """Nothing is wanted, nothing imported.

        Args:
            framework: the module that is waited for.
            module: the adapter's module that imports it, with `attach(*wanted)` and `detach()`.
        """
        self._framework, self._module = framework, module
        self._wanted: tuple[Any, ...] | None = None

    def install(self, *wanted: Any) -> None:
        """Attach now if the framework has been imported, else when it is."""
        self._wanted = wanted
        on_import(self._framework, self._attach)

    def uninstall(self) -> None:
        """Undo `install`, and whatever else the module has attached."""
        self._wanted = None
        if self._module in sys.modules:
            sys.modules[self._module].detach()

    def _attach(self) -> None:
        if self._wanted is not None:
            importlib.import_module(self._module).attach(*self._wanted)


def _is_ready(module: ModuleType | None) -> bool:
    return module is not None and not getattr(getattr(module, "__spec__", None), "_initializing", False)


class _Finder(MetaPathFinder):
    """Finds nothing itself: it has the others find, and wraps the loader of what is waited for."""

    def find_spec(self, name: str, path: Sequence[str] | None, target: ModuleType | None = None) -> ModuleSpec | None:
        """The spec that the others find, with a loader that tells."""
        if name not in _waiting:
            return None
        actions = _waiting.pop(name)  # so that the others' search does not come back here
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            _waiting[name] = actions
            return None
        spec.loader = _Loader(spec.loader, actions)
        return spec


class _Loader(Loader):
    """The module's own loader, and the actions after it."""

    def __init__(self, own: Loader, actions: list[Callable[[], None]]) -> None:
        """Keep both."""
        self._own, self._actions = own, actions

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        """As the module's own loader does."""
        return self._own.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        """Run the module, then the actions."""
        spec = module.__spec__
        if spec is not None:
            spec.loader = module.__loader__ = self._own  # the program sees what it would have seen
        self._own.exec_module(module)
        if spec is not None:
            spec._initializing = False  # type: ignore[attr-defined]  # noqa: SLF001  done, but for us
        for action in self._actions:
            try:
                action()
            except Exception:  # noqa: BLE001  the program's import must not fail for us
                _log.exception("RunGuard could not hook into %s: its calls are not guarded", module.__name__)
