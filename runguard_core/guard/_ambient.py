"""Whose call is this? The session entered last in this context, carried by a context variable."""

from __future__ import annotations

from contextvars import ContextVar
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from runguard_core.guard._session import Session

#: The innermost session of this thread, task or copied context.
_CURRENT: ContextVar[Session | None] = ContextVar("runguard_session", default=None)


def current_session() -> Session | None:
    """The session that calls made here belong to, None outside any."""
    return _CURRENT.get()


def enter(session: Session) -> object:
    """Make `session` the current one; the token undoes it."""
    return _CURRENT.set(session)


def leave(token: object) -> None:
    """Undo `enter`; a token from another context (a generator closed elsewhere) is ignored."""
    try:
        _CURRENT.reset(token)  # type: ignore[arg-type]  # opaque to callers on purpose
    except ValueError:
        _CURRENT.set(None)
