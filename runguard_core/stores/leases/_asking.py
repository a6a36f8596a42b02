"""When what is leased does not do: ask for more, ask others to give back, or refuse."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from runguard_core.errors import LeaseLostError, StoreError
from runguard_core.ledger import Balance, CallOrDraft, Event, Hold, Refusal, Reserved, Want
from runguard_core.stores._laws import check_asked
from runguard_core.stores.leases._holdings import Holdings
from runguard_core.stores.leases._leases import Leases
from runguard_core.stores.leases._recovering import recover_the_dead
from runguard_core.stores.leases._slices import Slice, slice_for

#: How long a call waits for others to give back what they do not use, before it is refused.
WAIT_SECONDS = 0.25
#: After a refusal others are not asked again for so long.
_CALM_SECONDS = 1.0
#: Other threads may take what was fetched; a call that has no luck so often is reserved plainly.
_MOST_TRIES = 20
_LEAST_PAUSE_SECONDS, _MOST_PAUSE_SECONDS = 0.001, 0.02


def ask(
    leases: Leases, call: CallOrDraft, holds: Sequence[Hold], expires_at: datetime, events: Sequence[Event]
) -> Reserved | Refusal | None:
    """Reserve with leases that may have to be fetched first; None when there is no owner any more, or no journal has room for it.

    Raises:
        InvalidAmountError: an amount is none.
        StoreError: the store cannot be asked.
    """
    check_asked(call, holds)
    patience: _Patience | None = None
    while True:
        came_at = leases.host.monotonic()
        with leases.flow, leases.outages.since(came_at):
            found = _try(leases, call, holds, expires_at, events)
            if not isinstance(found, Refusal):
                return found
            if patience is None:
                patience = _Patience(leases, found)
            if not patience.is_worth_another_try(found):
                return found
        patience.wait()


def _try(
    leases: Leases, call: CallOrDraft, holds: Sequence[Hold], expires_at: datetime, events: Sequence[Event]
) -> Reserved | Refusal | None:
    for _ in range(_MOST_TRIES):
        holdings = leases.holdings
        if holdings is None:
            break
        wanted = holdings.wanted_back(leases.host.monotonic())
        # what the book may not have heard claims what we had then: said after a new grant it would hand that back
        if wanted is not None or holdings.has_unheard() or not holdings.has_room():
            leases.flush(wanted)
        refusal = _fetch(leases, holdings, holds, call.started_at)
        if refusal is not None:
            return refusal
        found = holdings.take(call, holds, expires_at, events, asked=True)
        if found is not None:
            return found
    return None


def _fetch(leases: Leases, holdings: Holdings, holds: Sequence[Hold], now: datetime) -> Refusal | None:
    """Lease what these holds need beyond what is free. None when they have it, or when it is worth trying anew."""
    _open(leases, holdings, holds)
    short = _short(holdings, holds)
    if any(one.free != 0 and (one.free < 0 or hold.limit < one.limit) for one, hold in short):  # type: ignore[operator]
        # what is owed, or was leased below a higher limit, is settled first
        mixed = {one for one, hold in short if one.free > 0 and hold.limit < one.limit}  # type: ignore[operator]
        leases.flush(mixed.__contains__)
        short = _short(holdings, holds)
    if not short or leases.holdings is not holdings:
        return None
    reading = leases.host.monotonic()
    wants = [_want(one, hold, reading) for one, hold in short]
    try:
        granted = leases.backend.grant(leases.owner, wants, now=now)
    except LeaseLostError:
        leases.lose()
        return None
    except StoreError:
        holdings.is_unsure = True
        raise
    if isinstance(granted, Refusal):
        return _refusal(holdings, granted, holds)
    with holdings.lock:
        for (one, hold), want in zip(short, wants, strict=True):
            one.granted(granted.amounts[one.key], hold.limit or 0, want.want, reading)
            one.learn(granted.balances[one.key], one.leased)
    return None


def _open(leases: Leases, holdings: Holdings, holds: Sequence[Hold]) -> None:
    """Accounts that this process has not seen. What is only observed is looked up; a grant tells the rest."""
    for hold in holds:
        one = holdings.slices.get(hold.account.key)
        if one is not None:
            holdings.show(one, hold.shown_limit)
    unknown = {hold.account.key: hold for hold in holds if hold.account.key not in holdings.slices}
    if not unknown:
        return
    observed = [key for key, hold in unknown.items() if hold.limit is None]
    balances = leases.backend.balances(observed) if observed else {}
    reading = leases.host.monotonic()
    for key, hold in unknown.items():
        one = slice_for(hold.account, hold.shown_limit)
        one.used_at = reading
        if key in balances:
            one.learn(balances[key], 0)
        with holdings.lock:
            holdings.slices.setdefault(key, one)


def _short(holdings: Holdings, holds: Sequence[Hold]) -> list[tuple[Slice, Hold]]:
    """Which enforced holds cannot be paid for, each account once."""
    found: dict[str, tuple[Slice, Hold]] = {}
    for hold in holds:
        one = holdings.slices[hold.account.key]
        if hold.limit is not None and (hold.amount > one.free or hold.limit < one.limit):
            found.setdefault(one.key, (one, hold))
    return list(found.values())


def _want(one: Slice, hold: Hold, reading: float) -> Want:
    need = max(hold.amount - one.free, 0)
    return Want(one.account, need, max(need, one.next_want(hold.amount, reading)), hold.limit or 0, hold.shown_limit)


def _refusal(holdings: Holdings, refused: Refusal, holds: Sequence[Hold]) -> Refusal:
    """In the caller's words: its hold, and as leased what others have."""
    key = refused.hold.account.key
    hold = next(one for one in holds if one.account.key == key and one.limit is not None)
    one, balance = holdings.slices[key], refused.balance
    with holdings.lock:
        one.learn(balance, min(one.leased, balance.leased))
    return Refusal(hold, Balance(balance.posted, balance.pending, balance.assumed, one.elsewhere))


class _Patience:
    """How long it is worth asking others, for one call that was refused."""

    def __init__(self, leases: Leases, refusal: Refusal) -> None:
        self._leases, self._until, self._pause = leases, -1.0, _LEAST_PAUSE_SECONDS
        self._is_first = True

    def is_worth_another_try(self, refusal: Refusal) -> bool:
        """Whether the call may still fit: something was cleared up here, or others have what is missing and were asked."""
        leases, holdings = self._leases, self._leases.holdings
        one = None if holdings is None else holdings.slices.get(refusal.hold.account.key)
        if holdings is None or one is None:
            return True
        first, self._is_first = self._is_first, False
        if first and leases.flush():
            return True
        missing = refusal.hold.amount - max(one.free, 0) - refusal.balance.available(refusal.hold.limit or 0)
        reading = leases.host.monotonic()
        if refusal.balance.leased < missing or reading < one.calm_until:
            return False
        if self._until < 0:
            self._until = reading + WAIT_SECONDS
            recover_the_dead(leases)
        elif reading >= self._until:
            one.calm_until = reading + _CALM_SECONDS
            return False
        holdings.ask_back(one)
        return True

    def wait(self) -> None:
        """Others need a moment; the first try comes at once."""
        if self._until >= 0:
            self._leases.host.pause(self._pause)
            self._pause = min(2 * self._pause, _MOST_PAUSE_SECONDS)
