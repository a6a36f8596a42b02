"""A ledger of calls of every kind and end, and every sum of it: for tests of what a ledger ceases to keep."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from runguard_core.attribution import Attribution
from runguard_core.budgets import Budget, BudgetBook, Mode
from runguard_core.calls import CallKind, Certainty
from runguard_core.ledger import (
    CallFilter,
    CallRecord,
    Event,
    Hold,
    KeepingStore,
    Settlement,
    Unit,
)
from runguard_core.testing._ledger_values import a_call, a_settlement
from runguard_core.usage import Usage

T0 = datetime(2026, 9, 1, 12, tzinfo=UTC)
FOR_EVER = T0 + timedelta(days=900)
DIMENSIONS = [
    (), ("user",), ("session", "model"), ("conversation",), ("quarter_hour", "feature", "kind"), ("tag:k", "agent"), ("run", "tool"),
    ("app", "team", "release", "provider"), ("user", "quarter_hour"), ("instance", "session"),
]  # fmt: skip


BUDGETS = [Budget("9 USD", per=["user"]), Budget("9 USD", per=["user"], period="day"), Budget("900 turns", per=["session"])]


def holds_of(who: Attribution, at: datetime, nanos: int) -> list[Hold]:
    """What three budgets ask, two of them split by users."""
    shares = BudgetBook(BUDGETS, app="app", zone=UTC, mode=Mode.ENFORCE).plan(who, at, {}).shares
    return [Hold(share.account, nanos if share.account.unit is Unit.USD else 1, None, 9) for share in shares]


def enter(
    store: KeepingStore, at: datetime, end: str = "post", nanos: int = 100, kind: CallKind = CallKind.MODEL, **who: Any
) -> CallRecord:
    """A call that ends in some way."""
    call = replace(
        a_call(at=at, quote=nanos, **({"user": "ann"} | who)), kind=kind, name="m" if kind is CallKind.MODEL else "find"
    )
    holds = holds_of(call.attribution, at, nanos)
    store.reserve(call, holds, expires_at=at + timedelta(minutes=9) if end == "assume" else FOR_EVER, owner="o")
    amounts = {hold.account.key: nanos if hold.account.unit is Unit.USD else 1 for hold in holds}
    ended = Settlement(
        at=at + timedelta(seconds=3), outcome=a_settlement(1).outcome, amounts=amounts, cost_nanos=nanos,
        usage=Usage(input_tokens=7, output_tokens=2, input_audio_tokens=1), model_answered="m-2" if kind is CallKind.MODEL else None,
    )  # fmt: skip
    if end in {"post", "adjust"}:
        store.post(call.id, ended)
    if end == "part":  # one account only is named
        store.post(call.id, replace(ended, amounts=dict(list(amounts.items())[:1])))
    if end == "void":
        store.void(call.id, replace(ended, note="not sent"))
    if end == "assume":
        store.expire(at + timedelta(minutes=10))
    if end == "adjust":
        less = {key: amount // 2 for key, amount in amounts.items()}
        store.adjust(
            call.id, replace(ended, amounts=less, cost_nanos=nanos // 2, certainty=Certainty.ESTIMATED), "a better count"
        )
        store.adjust(call.id, replace(ended, amounts={}, cost_nanos=nanos // 3), "no account knows it")
    return call


def fill(store: KeepingStore) -> None:
    """Calls of every kind and end, over three days and several sessions."""
    ends = ["part", "adjust", "void", "assume", "pending"]
    for number in range(60):
        at = T0 + timedelta(minutes=70 * number, seconds=number)
        kind = CallKind.TOOL if number % 7 == 3 else CallKind.CHILD if number % 13 == 5 else CallKind.MODEL
        session = None if number % 11 == 0 else f"s{number % 4}"
        run = None if number % 11 == 0 else f"r{number // 3}"
        end = ends[number % 5] if number % 2 else "post"
        enter(store, at, end, 100 + number, kind, session=session, run=run, user=("ann", "bob", None)[number % 3],
              feature=("search", "chat")[number % 2], turn=number, release=("1", "2")[number // 30])  # fmt: skip


def sums(store: KeepingStore, *windows: tuple[datetime | None, datetime | None]) -> dict[Any, Any]:
    """Every sum that stays, of whole quarters of an hour."""
    found: dict[Any, Any] = {}
    for since, until in windows or WINDOWS:
        for by in DIMENSIONS:
            found[since, until, by] = dict(store.totals(by, CallFilter(since=since, until=until)))
        found[since, until, "app"] = dict(store.totals(("agent",), CallFilter(app="app", agent="a", since=since, until=until)))
        found[since, until, "session"] = dict(store.totals(("model",), CallFilter(session="s1", since=since, until=until)))
    found["run"] = dict(store.totals(("user",), CallFilter(run="r2")))
    found["sessions"] = [store.sessions(CallFilter(limit=limit)) for limit in (None, 3)]
    found["until"] = store.sessions(CallFilter(until=T0 + timedelta(hours=40)))
    found["accounts"] = store.accounts()
    return found


WINDOWS = [
    (None, None),
    (T0, T0 + timedelta(hours=12)),
    (T0 + timedelta(hours=20, minutes=15), None),
    (None, T0 + timedelta(hours=29, minutes=45)),
    (T0 + timedelta(hours=7), T0 + timedelta(hours=7, minutes=15)),
]


def an_event(name: str, **facts: Any) -> Event:
    """Something to say."""
    return Event(id=name, kind="kind", at=T0, severity="notice", message="m", app="app", facts=facts)


CUT = T0 + timedelta(hours=35)
