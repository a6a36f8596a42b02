"""`runguard reconcile`: a provider's bill against the ledger."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from hashlib import blake2b
from pathlib import Path
from typing import Annotated, Any

import typer

from runguard_core.attribution import Attribution, clean
from runguard_core.cli._acting import person
from runguard_core.cli._app import AppOption, Exit, JsonOption, PolicyOption, StoreOption, app, fail, ledger, out, show
from runguard_core.cli._reconcile_render import print_reconciliation
from runguard_core.events import NOTICE, RECONCILED, event
from runguard_core.finops.bills import (
    DIMENSIONS,
    Bill,
    BillError,
    KeyRing,
    Payer,
    Reconciliation,
    Valuer,
    corrections,
    focus_bill,
    read_report,
    reconcile,
    reconciliation_json,
    rows_of_calls,
    rows_of_totals,
)
from runguard_core.ledger import CallFilter, CallRecord, Event, Settlement, Store
from runguard_core.money import usd_text
from runguard_core.policy import Policy

_DAY = timedelta(days=1)


class Provider(StrEnum):
    """Whose format a bill has."""

    OPENAI = "openai"
    ANTHROPIC = "anthropic"
    FOCUS = "focus"


@app.command("reconcile")
def reconcile_command(
    files: Annotated[
        list[Path], typer.Argument(metavar="FILE...", help="Reports as the provider's API returns them, all pages.")
    ],
    provider: Annotated[Provider, typer.Option("--provider", help="Whose format they have.")],
    period: Annotated[
        str | None, typer.Option("--period", help="2026-11, 2026-11-24 or 2026-11-01..2026-11-15 (UTC); else all that is billed.")
    ] = None,
    adjust: Annotated[
        bool, typer.Option("--adjust", help="Correct the ledger's calls to what the bill says; needs --reason.")
    ] = False,
    reason: Annotated[str | None, typer.Option("--reason", "-r", help="Why; recorded with every correction.")] = None,
    by: Annotated[str | None, typer.Option("--by", help="Who corrects; else the user of this machine.")] = None,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    r"""Compare a provider's usage and cost reports (or a FOCUS bill) with the ledger, and name every difference.

    Token classes first, then money, per UTC day, key or project (those in \[billing] of the policy) and model. Exit code 1 where
    a difference is left that is no rounding, discount or day boundary.

    Example: [bold]runguard reconcile usage.json costs.json --provider openai[/]
    """
    if adjust and not (reason or "").strip():
        raise fail("--adjust needs --reason: the next one who reads the ledger will ask", Exit.USAGE)
    bill = _within(_read(files, provider), _span(period))
    with ledger(store, app_name, policy) as (opened, loaded):
        work = _Work(opened, loaded, bill)
        found, posted = work.compare(), list[tuple[str, Settlement]]()
        if adjust:
            posted = work.correct(found, clean(reason or ""), clean(by or person()))
            found = work.compare() if posted else found
    document = {**reconciliation_json(found, work.owner), "corrected_count": len(posted)}
    show(as_json, document, lambda: print_reconciliation(out, found, work.owner, len(posted)))
    if found.unexplained:
        raise typer.Exit(Exit.FOUND_WRONG)


def _read(files: Sequence[Path], provider: Provider) -> Bill:
    try:
        if provider is Provider.FOCUS:
            return focus_bill((row for file in files for row in _rows(file)), ", ".join(map(str, files)))
        return read_report([(str(file), file.read_text(encoding="utf-8-sig")) for file in files], provider.value)
    except BillError as error:
        raise fail(str(error), Exit.USAGE) from None
    except OSError as error:
        raise fail(f"{error.filename} cannot be read: {error.strerror}", Exit.USAGE) from None
    except UnicodeDecodeError as error:
        raise fail(f"a file is no text: {error}", Exit.USAGE) from None


def _rows(file: Path) -> Iterator[Mapping[str, Any]]:
    if file.suffix != ".parquet":
        with file.open(encoding="utf-8-sig", newline="") as opened:
            yield from csv.DictReader(opened)
        return
    try:
        from pyarrow import parquet  # noqa: PLC0415  an extra
    except ImportError:
        raise fail(f"{file} needs pyarrow (pip install pyarrow), or the bill as CSV", Exit.USAGE) from None
    for batch in parquet.ParquetFile(file).iter_batches():
        yield from batch.to_pylist()


def _span(period: str | None) -> tuple[date, date] | None:
    """First day and the first that is no longer in it."""
    if period is None:
        return None
    first, dots, last = period.partition("..")
    try:
        if dots:
            return date.fromisoformat(first), date.fromisoformat(last) + _DAY
        if len(period) == len("2026-11"):
            start = date.fromisoformat(f"{period}-01")
            return start, (start + timedelta(days=32)).replace(day=1)
        return date.fromisoformat(period), date.fromisoformat(period) + _DAY
    except ValueError:
        message = f"--period expects 2026-11, 2026-11-24 or 2026-11-01..2026-11-15, got {period!r:.40}"
        raise fail(message, Exit.USAGE) from None


def _within(bill: Bill, span: tuple[date, date] | None) -> Bill:
    if span is not None:
        first, end = span
        bill = Bill(
            provider=bill.provider, notes=bill.notes,
            usage=tuple([line for line in bill.usage if first <= line.day < end]),
            costs=tuple([line for line in bill.costs if first <= line.day < end]),
            usage_days=frozenset(day for day in bill.usage_days if first <= day < end),
            cost_days=frozenset(day for day in bill.cost_days if first <= day < end),
        )  # fmt: skip
    if not bill.usage_days and not bill.cost_days:
        raise fail("the bill covers no whole day of the period: expected buckets of days in UTC", Exit.USAGE)
    return bill


@dataclass(slots=True)
class _Work:
    """A bill, a ledger, a policy."""

    store: Store
    policy: Policy
    bill: Bill

    @property
    def ring(self) -> KeyRing:
        """Whose keys are whose."""
        return KeyRing(self.policy.content.billing.billed_keys(), self.bill.provider)

    def owner(self, payer: Payer) -> str | None:
        """Who answers for a payer; for a team its lead."""
        found = self.policy.registry.duty(payer.feature, None, payer.team)
        return found.owner or (found.lead if payer.feature is None and payer.team else None)

    def compare(self) -> Reconciliation:
        """The ledger as it is now."""
        ring, has_hour, where = self.ring, self.bill.has_hour, self._filter()
        if ring.asks_calls:
            books = rows_of_calls((call for day in self._days() for call in self._calls(day)), ring, has_hour=has_hour)
        else:
            books = rows_of_totals(self.store.totals(DIMENSIONS, where), ring, has_hour=has_hour)
        days = {*self.bill.usage_days, *self.bill.cost_days}
        kept = {key: row for key, row in books.items() if key[0] in days}
        return reconcile(self.bill, kept, ring, self._valuer())

    def _valuer(self) -> Valuer:
        named = self.bill.provider
        return Valuer(self.policy.rules.prices, named if named in {"openai", "anthropic"} else None)

    def _days(self) -> list[date]:
        return sorted({*self.bill.usage_days, *self.bill.cost_days})

    def _filter(self) -> CallFilter:
        days = self._days()
        return CallFilter(since=_midnight(days[0]), until=_midnight(days[-1] + _DAY))

    def _calls(self, day: date) -> tuple[CallRecord, ...]:
        return self.store.calls(CallFilter(since=_midnight(day), until=_midnight(day + _DAY)))

    def correct(self, found: Reconciliation, reason: str, by: str) -> list[tuple[str, Settlement]]:
        """Post what the ledger's calls can be corrected by, a day at a time; the same again finds nothing to correct."""
        units = {row.account.key: row.account.unit for row in self.store.accounts()}
        posted: list[tuple[str, Settlement]] = []
        for day in sorted({one.day for one in found.differences}):
            its = [call for call in self._calls(day) if self.bill.provider in {None, call.provider} or call.provider is None]
            made = corrections(found, its, self.ring, has_hour=self.bill.has_hour, units=units)
            for call_id, settlement in made:
                self.store.adjust(call_id, settlement, f"{reason} ({by}; {found.provider or 'FOCUS'} bill)")
            posted += made
        if posted:
            self.store.announce([_said(found, posted, reason, by, self.policy.content.app)])
        return posted


def _midnight(day: date) -> datetime:
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def _said(found: Reconciliation, posted: Sequence[tuple[str, Settlement]], reason: str, by: str, named: str) -> Event:
    """One event a correction run; its id is that of what was corrected to what."""
    facts = {
        "provider": found.provider, "first_day": str(found.days[0]), "last_day": str(found.days[-1]), "by": by, "reason": reason,
        "billed_nanos": str(found.billed_nanos), "booked_nanos": str(found.booked_nanos), "corrected_count": len(posted),
    }  # fmt: skip
    message = (
        f"{len(posted)} calls were corrected by {by} to the bill of {found.provider or 'FOCUS'}, "
        f"{usd_text(found.billed_nanos)} USD: {reason}"
    )
    said = event(RECONCILED, NOTICE, message, Attribution(app=named), datetime.now(UTC), **facts)
    mark = repr((facts, [(call_id, settled.cost_nanos, settled.usage) for call_id, settled in posted]))
    return Event(
        id="re-" + blake2b(mark.encode(), digest_size=8).hexdigest(), kind=said.kind, at=said.at, severity=said.severity,
        message=said.message, app=said.app, facts=said.facts,
    )  # fmt: skip
