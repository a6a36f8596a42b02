"""What tests of sub-agents ask of the book."""

from __future__ import annotations

from typing import Any

from runguard_core import Guard, ModelCall, StoppedError

from .spending import ONE


def posted(guard: Guard, title: str) -> tuple[int, int]:
    """Posted and pending cents of the account with this title."""
    (row,) = [row for row in guard.store.accounts() if row.account.title == title]
    return row.balance.posted // 10**7, row.balance.pending // 10**7


def may(session: Any) -> bool:
    """One call of one cent by the session's handle."""
    try:
        session.post(session.reserve(ModelCall(model="cent", max_output_tokens=1)), ONE)
    except StoppedError:
        return False
    return True
