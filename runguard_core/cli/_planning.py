"""What the commands of planning read: the ledger, the policy with its limits worked out, the metrics, and as of when."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated

import typer

from runguard_core.cli._app import ledger
from runguard_core.errors import PolicyError
from runguard_core.finops import Calendar
from runguard_core.finops.planning import MetricBook, Plan, Resolved, Spend, read_spend
from runguard_core.ledger import CallFilter, Store
from runguard_core.policy import Policy, metrics_of

AtOption = Annotated[str | None, typer.Option("--at", help="As of the end of this day, such as 2026-11-24; default: now.")]


@dataclass(frozen=True, slots=True)
class Desk:
    """What a plan is looked at with.

    Attributes:
        store: the ledger. policy: with limits as they come to on that day. app: the one asked for; None means all.
        whose: the app whose metrics count. book: the metrics. now: as of when (UTC).
    """

    store: Store
    policy: Policy
    app: str | None
    whose: str
    book: MetricBook
    now: datetime

    @property
    def calendar(self) -> Calendar:
        """Of the policy."""
        return self.policy.calendar

    @property
    def plan(self) -> Plan:
        """Of the policy."""
        return self.policy.plan

    @property
    def limits(self) -> tuple[Resolved, ...]:
        """What limits that follow came to."""
        return self.policy.limits

    def spend(self, since: datetime | None = None) -> Spend:
        """Spend up to now."""
        return read_spend(self.store, self.app, self.calendar, self.now, since)


@contextmanager
def planning(store: str | None, app_name: str | None, policy: Path | None, at: str | None = None) -> Iterator[Desk]:
    """The ledger and the policy a command speaks of, as of a day."""
    with ledger(store, app_name, policy) as (opened, loaded):
        now = moment_of(at, loaded.calendar)
        whose = app_of(opened, loaded, app_name)
        book = metrics_of(opened, whose)
        yield Desk(opened, loaded.with_metrics(book, loaded.calendar.date_of(now)), app_name, whose, book, now)


def app_of(opened: Store, loaded: Policy, app_name: str | None) -> str:
    """Whose metrics: the app that is asked for, the policy's, or where there is no policy the one that called last."""
    if app_name is not None or loaded.file is not None:
        return app_name or loaded.rules.defaults.app
    latest = opened.calls(CallFilter(limit=1))
    return latest[-1].attribution.app if latest else loaded.rules.defaults.app


def moment_of(text: str | None, calendar: Calendar) -> datetime:
    """The end of a local day, or now.

    Raises:
        PolicyError: no day.
    """
    if text is None:
        return datetime.now(UTC)
    try:
        return calendar.day(date.fromisoformat(text)).end
    except (ValueError, OverflowError):
        raise PolicyError(key="--at", expected=f"expected a day such as 2026-11-24, got {text!r:.80}") from None
