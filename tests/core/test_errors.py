"""What a stop says to whoever may try again."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest

from runguard_core import RefusedError, StoppedError, TrippedError
from runguard_core.errors import RETRY_AFTER_RESET, RETRY_NEVER, RETRY_WHEN_SETTLED

AT = datetime(2026, 3, 1, 12, tzinfo=UTC)


def refused(retry: str, resets_at: datetime | None = None) -> RefusedError:
    """A refusal of which only the way out matters."""
    amounts = dict.fromkeys(("limit", "posted", "pending", "requested", "available"), Decimal(1))
    return RefusedError(budget="day", unit="USD", retry=retry, resets_at=resets_at, **amounts)


@pytest.mark.parametrize(
    ("stop", "seconds"),
    [
        (refused(RETRY_NEVER), None),
        (refused(RETRY_WHEN_SETTLED), 1),
        (refused(RETRY_AFTER_RESET, AT + timedelta(hours=1)), 3600),
        (refused(RETRY_AFTER_RESET, AT + timedelta(milliseconds=100)), 1),
        (refused(RETRY_AFTER_RESET, AT - timedelta(hours=1)), 1),
        (refused(RETRY_AFTER_RESET), 1),
        (TrippedError(scope="run 1", verdict="x", rule="repeat", since=AT, how_to_clear="y"), None),
        (StoppedError("x"), None),
    ],
)  # fmt: skip
def test_it_says_after_how_many_seconds_the_call_may_fit(stop: StoppedError, seconds: int | None) -> None:
    """Whole, at least one; None where waiting does not help."""
    assert stop.retry_seconds(AT) == seconds
