"""What every store decides the same way: the settlement of a forgotten hold, filters, and the check of the book."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from runguard_core.calls import Certainty, OutcomeKind
from runguard_core.errors import InvalidAmountError
from runguard_core.ledger import (
    AccountRow,
    Balance,
    CallFilter,
    CallOrDraft,
    CallRecord,
    CallState,
    Discrepancy,
    Entry,
    Hold,
    Settlement,
    SettlementOrDraft,
    fold,
)
from runguard_core.money import MAX_AMOUNT, check_amount


def check_asked(call: CallOrDraft, holds: Sequence[Hold]) -> None:
    """Whether every amount of a reserve is one: a NaN, a fraction or a wrapped number in the book would silence every limit.

    Raises:
        InvalidAmountError: an amount is no `int` (no bool) in 0 .. 2**62; nothing has been written.
    """
    for hold in holds:
        amount = hold.amount
        if type(amount) is not int or not 0 <= amount <= MAX_AMOUNT:
            raise InvalidAmountError(amount, f"a whole number between 0 and 2**62 for {hold.account.title or hold.account.key}")
    if call.quote_nanos is not None:
        check_amount(call.quote_nanos)


def check_spent(settlement: SettlementOrDraft) -> None:
    """Whether every amount of a settlement is one; as `check_asked`."""
    for key, amount in settlement.amounts.items():
        if type(amount) is not int or not 0 <= amount <= MAX_AMOUNT:
            raise InvalidAmountError(amount, f"a whole number between 0 and 2**62 for {key}")
    if settlement.cost_nanos is not None:
        check_amount(settlement.cost_nanos)


def assumed_settlement(call: CallRecord, holds: Sequence[Hold], at: datetime) -> Settlement:
    """What is charged when nobody settled a call in time: its quote, in every account."""
    return Settlement(
        at=at,
        outcome=OutcomeKind.UNKNOWN,
        amounts={hold.account.key: hold.amount for hold in holds},
        cost_nanos=call.quote_nanos,
        certainty=Certainty.ASSUMED if call.quote_nanos is not None else Certainty.UNPRICED,
        note="the hold expired before the call was settled",
    )


def matches(call: CallOrDraft, state: CallState, where: CallFilter) -> bool:
    """Whether a filter selects a call."""
    who = call.who
    return (
        where.app in {None, who.app}
        and where.session in {None, who.session}
        and where.run in {None, who.run}
        and where.agent in {None, who.agent}
        and where.state in {None, state}
        and (where.since is None or call.started_at >= where.since)
        and (where.until is None or call.started_at < where.until)
    )


def discrepancies(accounts: Iterable[AccountRow], entries: Sequence[Entry], calls: Iterable[CallRecord]) -> list[Discrepancy]:
    """Where balances differ from the entries' sums, or a call's charge from its entries' sum."""
    found = []
    sums = fold(entries)
    for row in accounts:
        expected = replace(sums.pop(row.account.key, Balance()), leased=row.balance.leased)  # no line speaks of leases
        if expected != row.balance:
            found.append(Discrepancy(f"account {row.account.title}", str(row.balance), str(expected)))
    found += [Discrepancy(f"account {key}", "missing", str(balance)) for key, balance in sums.items() if balance != Balance()]
    costs: dict[str, int] = {}
    for entry in entries:
        costs[entry.call_id] = costs.get(entry.call_id, 0) + entry.cost_nanos
    for call in calls:
        if call.cost_nanos != costs.get(call.id, 0):
            found.append(Discrepancy(f"call {call.id}", str(call.cost_nanos), str(costs.get(call.id, 0))))
    return found


def slice_of(need: int, want: int, available: int) -> int:
    """How much of what is available a process leases: what it wants, an eighth of what is there, but never less than it needs."""
    return max(need, min(want, available // 8))


def lease_entry_id(owner_id: str) -> str:
    """Under which call id the rest of a lost owner's leases is posted."""
    return f"lease:{owner_id}"
