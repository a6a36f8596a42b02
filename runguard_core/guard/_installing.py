"""`guard.install()`: adapters are found by entry point, frameworks only touched when present."""

from __future__ import annotations

import logging
from importlib.metadata import entry_points
from typing import TYPE_CHECKING

from runguard_core.errors import PolicyError

if TYPE_CHECKING:
    from runguard_core.guard._guard import Guard

GROUP = "runguard.adapters"
_log = logging.getLogger("runguard")


def install_adapters(guard: Guard, names: tuple[str, ...]) -> tuple[str, ...]:
    """Call every adapter's entry point with the guard; those whose framework is missing are passed over.

    Raises:
        PolicyError: a named adapter does not exist; ImportError: a named adapter's framework is missing.
    """
    found = {point.name: point for point in entry_points(group=GROUP)}
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
            hooked.append(name)
    return tuple(hooked)
