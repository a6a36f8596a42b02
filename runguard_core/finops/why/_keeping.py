"""Forgetting a user and dropping old calls, as decisions that the audit shows: who, why, how much. Never whom."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from hashlib import blake2b
from typing import Any

from runguard_core import events as ev
from runguard_core.attribution import Attribution
from runguard_core.errors import ConflictingEntryError
from runguard_core.ledger import Event, EventFilter, ForgettingStore, Forgotten, KeepingStore, Pruned, Tell

_PREFIX = "forgotten-"
#: Several people forget at the same moment; the next number is tried so often.
_MOST_TRIES = 20


def forget(
    store: ForgettingStore, users: Collection[str], *, app: str, reason: str, by: str, at: datetime, dry_run: bool = False
) -> tuple[str, Forgotten]:
    """Put a pseudonym, "forgotten-<n>", where any of these ids stands; the pseudonym, and what was renamed.

    Each time is another number, also for the same person: what would tell that both are one is not kept.

    Raises:
        ConflictingEntryError: others took every number that was tried.
    """
    number = 1 + len(store.events(EventFilter(kinds=(ev.USER_FORGOTTEN,))))
    for taken in range(_MOST_TRIES):
        pseudonym = f"{_PREFIX}{number + taken}"

        def say(found: Forgotten, pseudonym: str = pseudonym) -> Event:
            many = f"{found.call_count:,} calls, {found.account_count:,} accounts"
            message = f"a user was forgotten by {by}, now {pseudonym} ({many}): {reason}"
            after = {"user": pseudonym, **asdict(found)}
            return _decided(ev.USER_FORGOTTEN, pseudonym, message, app, at, by=by, reason=reason, scope=pseudonym, after=after)

        try:
            return pseudonym, store.forget_user(users, pseudonym, say, dry_run=dry_run)
        except ConflictingEntryError:
            if taken == _MOST_TRIES - 1:
                raise
    raise AssertionError  # pragma: no cover  the loop returns or raises


def prune(
    store: KeepingStore, before: datetime, *, app: str, reason: str, by: str, at: datetime, dry_run: bool = False,
    tell: Tell | None = None,
) -> Pruned:  # fmt: skip
    """Drop the rows of settled calls admitted before an instant; sums and balances stay. No call, no event."""

    def say(found: Pruned) -> Event:
        message = f"rows of {found.call_count:,} calls before {before.isoformat()} were dropped by {by}: {reason}"
        scope, after = f"calls before {before.isoformat()}", {"before": before.isoformat(), **asdict(found)}
        name = f"{before.isoformat()} {at.isoformat()}"
        return _decided(ev.CALLS_PRUNED, name, message, app, at, by=by, reason=reason, scope=scope, after=after)

    return store.prune(before, say, dry_run=dry_run, tell=tell)


def _decided(kind: str, name: str, message: str, app: str, at: datetime, *, after: Mapping[str, Any], **facts: Any) -> Event:
    made = ev.event(kind, ev.NOTICE, message, Attribution(app=app), at, before=None, after=dict(after), **facts)
    digest = blake2b(f"{kind}\0{name}".encode("utf-8", "replace"), digest_size=16).hexdigest()
    return replace(made, id=f"{kind}-{digest}")
