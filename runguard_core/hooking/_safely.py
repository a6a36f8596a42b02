"""`safely`: observing never raises into the program it watches."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, TypeVar

T = TypeVar("T")
_log = logging.getLogger("runguard")


def safely(read: Callable[..., T], *arguments: Any) -> T | None:
    """What an adapter reads off a framework's object, or None where that raises; the call is then charged by estimate."""
    try:
        return read(*arguments)
    except Exception:  # noqa: BLE001  a framework's object may raise anything
        _log.exception("RunGuard could not read a framework's call; it is charged by estimate")
        return None
