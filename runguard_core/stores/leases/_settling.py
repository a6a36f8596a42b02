"""Telling the book a batch, and what becomes of a verb that contradicts it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar

from runguard_core.errors import LeaseLostError, LedgerError, StoreError
from runguard_core.ids import new_id
from runguard_core.ledger import CallOrDraft, CallState, Heard, LeaseBackend, LeaseVerb, ReserveVerb, SettleVerb
from runguard_core.stores.leases._happened import Batch
from runguard_core.stores.leases._mending import bare, mended

_log = logging.getLogger("runguard")
T = TypeVar("T")


def settle(backend: LeaseBackend, owner_id: str, batch: Batch, deadline: datetime) -> Heard:
    """Settle a batch. Raises what `LeaseBackend.settle` raises, but for contradictions."""

    def say(verbs: Sequence[LeaseVerb]) -> Heard:
        return backend.settle(owner_id, batch.offset, verbs, keep=batch.keep, deadline=deadline)

    names: dict[str, str] = {}
    found = agreed(backend, batch.verbs(), say, names)
    for _, it, _, _, _ in batch.happened:
        it.book_id = names.get(it.call.id, it.book_id)
    return found


def agreed(
    backend: LeaseBackend, verbs: Sequence[LeaseVerb], say: Callable[[Sequence[LeaseVerb]], T], names: dict[str, str]
) -> T:
    """Say verbs; one that contradicts the book is said otherwise, so that it does not hold up the others.

    A call whose id the book knows for another one is entered under an id of its own: it must be counted. The end of a call
    that somebody else has assumed meanwhile is said plainly first, as the correction that it is; an end that contradicts
    the one in the book is logged and left out.

    What the store fails on for another reason is left out of all of them, its details first, and said once more.

    Args:
        names: filled in: by the id that was contradicted, the new one.
    """
    plainer = iter((mended, bare))
    while True:
        try:
            return say(verbs)
        except (StoreError, LeaseLostError):
            raise
        except LedgerError as error:
            verbs = _without(backend, verbs, error.call_id, error, names)
        except KeyError as error:
            verbs = _without(backend, verbs, str(error.args[0]), error, names)
        except Exception as error:
            make = next(plainer, None)
            if make is None:
                raise
            _log.warning("RunGuard: the store does not take what has happened (%r); it is told without what may be odd", error)
            verbs = make(verbs)


def _without(
    backend: LeaseBackend, verbs: Sequence[LeaseVerb], call_id: str, error: Exception, names: dict[str, str]
) -> list[LeaseVerb]:
    begun = [verb.call for verb in verbs if isinstance(verb, ReserveVerb) and verb.call.id == call_id]
    if begun and _is_assumed(backend, begun[0]):
        begun = []  # it is that very call, which somebody else has assumed
    said = [verb for verb in verbs if isinstance(verb, ReserveVerb) or verb.call_id != call_id]
    if not begun:
        if len(said) == len(verbs):
            raise error
        _correct(backend, [verb for verb in verbs if isinstance(verb, SettleVerb) and verb.call_id == call_id])
        return said
    fresh = names[call_id] = new_id()
    _log.warning("RunGuard: %s; the call is entered under %s", error, fresh)
    return [_renamed(verb, call_id, fresh) for verb in verbs]


def _is_assumed(backend: LeaseBackend, call: CallOrDraft) -> bool:
    known = backend.call(call.id)
    return known is not None and known.state is CallState.ASSUMED and known.same_request(call.record())


def _correct(backend: LeaseBackend, ends: Sequence[SettleVerb]) -> None:
    for end in ends:
        say = backend.void if end.is_void else backend.post
        try:
            say(end.call_id, end.settlement, end.events)
        except (LedgerError, LookupError) as error:
            _log.warning("RunGuard: a contradiction in the ledger: %s", error)


def _renamed(verb: LeaseVerb, call_id: str, fresh: str) -> LeaseVerb:
    if isinstance(verb, ReserveVerb):
        return verb if verb.call.id != call_id else replace(verb, call=replace(verb.call.record(), id=fresh))
    return verb if verb.call_id != call_id else replace(verb, call_id=fresh)
