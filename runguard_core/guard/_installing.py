"""`guard.install()`: adapters are found by entry point, frameworks only touched when present."""

from __future__ import annotations

import logging
import sys
import weakref
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING

from runguard_core.errors import PolicyError

if TYPE_CHECKING:
    from runguard_core.guard._guard import Guard

GROUP = "runguard.adapters"
_log = logging.getLogger("runguard")
#: Who was hooked in last, by adapter; a guard that is gone is hooked in no more.
_installed: dict[str, weakref.ref[Guard]] = {}
#: What adapters call the undoing of their `install`.
_UNDOINGS = ("uninstall", "uninstrument")


def install_adapters(guard: Guard, names: tuple[str, ...]) -> tuple[str, ...]:
    """Call every adapter's entry point with the guard; those whose framework is missing are passed over.

    Raises:
        PolicyError: a named adapter does not exist; ImportError: a named adapter's framework is missing.
    """
    found = _adapters()
    unknown = set(names) - found.keys()
    if unknown:
        raise PolicyError(key="install", expected=f"expected one of {', '.join(sorted(found)) or 'none installed'}")
    hooked = []
    for name in names or sorted(found):
        try:
            found[name].load()(guard)
        except ImportError as error:
            if names:
                raise
            _log.debug("RunGuard adapter %s is not used: %s", name, error)
        else:
            _installed[name] = weakref.ref(guard)
            hooked.append(name)
    return tuple(hooked)


@contextmanager
def restored_afterwards(names: Iterable[str]) -> Iterator[None]:
    """Whoever is hooked in by `Guard.install` now is so again after the block; who was not, is not."""
    before = {name: held() if (held := _installed.get(name)) is not None else None for name in names}
    try:
        yield
    finally:
        for name, guard in before.items():
            now = _installed.get(name)
            if guard is not None:
                install_adapters(guard, (name,))
            elif now is not None:
                del _installed[name]
                _undo(name)


def _undo(name: str) -> None:
    point = _adapters().get(name)
    module = sys.modules.get(point.module) if point is not None else None
    for undoing in _UNDOINGS:
        if hasattr(module, undoing):
            getattr(module, undoing)()


def _adapters() -> dict[str, EntryPoint]:
    return {point.name: point for point in entry_points(group=GROUP)}
