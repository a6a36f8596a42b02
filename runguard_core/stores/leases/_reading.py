"""A journal's records back to verbs. Nothing in it is believed: whatever is not exactly what was written ends the reading."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from runguard_core.attribution import Attribution
from runguard_core.calls import CallKind, Certainty, OutcomeKind, PromptPart
from runguard_core.ledger import Account, CallRecord, Event, Hold, LeaseVerb, ReserveVerb, Settlement, SettleVerb, Unit
from runguard_core.money import MAX_AMOUNT
from runguard_core.stores.leases._segments import has_more, records
from runguard_core.stores.leases._writing import ASSUME, EPOCH, MICROSECOND, VOID, WHO
from runguard_core.usage import USAGE_FIELDS, Usage


@dataclass(frozen=True, slots=True)
class Journaled:
    """What a journal says after a place.

    Attributes:
        end: up to where it can be read, in bytes.
        verbs: those after the place, in order.
        is_sound: False when it does not reach that place, or says what no journal of ours says.
    """

    end: int
    verbs: tuple[LeaseVerb, ...]
    is_sound: bool


def read_journal(content: bytes, applied: int) -> Journaled:
    """The verbs of a journal that the book does not have yet.

    Args:
        content: the whole file.
        applied: up to where the book has it.
    """
    base, found = records(content)
    if base is None:
        return Journaled(applied, (), is_sound=False)
    reader, end = _Reader(), base
    verbs: list[LeaseVerb] = []
    for payload, after in found:
        try:
            verb = reader.read(payload)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, OverflowError, RecursionError):
            return Journaled(end, tuple(verbs), is_sound=False)
        if after > applied and verb is not None:
            verbs.append(verb)
        end = after
    is_sound = base <= applied <= end and not has_more(content, base, end)
    return Journaled(max(end, applied), tuple(verbs), is_sound=is_sound)


class _Reader:
    """Knows what the numbers of a segment stand for."""

    def __init__(self) -> None:
        self._who: dict[int, Attribution] = {}
        self._what: dict[int, list[Any]] = {}
        self._accounts: dict[int, tuple[Account, int | None]] = {}
        self._chains: dict[int, tuple[tuple[Account, int | None], ...]] = {}

    def read(self, payload: bytes) -> LeaseVerb | None:
        """One record; None for a mark."""
        said = json.loads(payload)
        if isinstance(said, dict):
            for kind, number, thing in said["d"]:
                self._define(kind, number, thing)
            said = said["v"]
        if not said:
            return None
        return self._reserve(*said[1:]) if said[0] == "r" else self._settle(*said[1:])

    def _define(self, kind: str, number: int, said: list[Any]) -> None:
        if kind == "w":
            *plain, tags = said
            pairs = tuple([(_text(key), _text(value)) for key, value in tags])
            self._who[number] = Attribution(**dict(zip(WHO, [*plain, pairs], strict=True)))
        elif kind == "m":
            self._what[number] = said
        elif kind == "a":
            key, unit, title, start, end, shown = said
            bounds = (None if start is None else _instant(start), None if end is None else _instant(end))
            self._accounts[number] = (Account(_text(key), Unit(unit), _text(title), *bounds), shown)
        else:
            self._chains[number] = tuple([self._accounts[one] for one in said])

    def _reserve(
        self, call_id: Any, who: Any, what: Any, chain: Any, amounts: Any, started: Any, expires: Any, quote: Any, turn: Any,
        loop: Any, signature: Any, parts: Any, events: Any,
    ) -> ReserveVerb:  # fmt: skip
        kind, name, provider, account, key, policy, is_bound, unverified, most = self._what[what]
        owner = self._who[who]
        call = CallRecord(
            id=_text(call_id), kind=CallKind(kind), name=_text(name), attribution=owner.with_values(turn=turn, loop=loop),
            started_at=_instant(started), provider=provider, account=account, key_fingerprint=key,
            quote_nanos=None if quote is None else _amount(quote), quote_is_bound=is_bound, max_output_tokens=most,
            signature=signature, parts=tuple([PromptPart(_text(origin), *sizes) for origin, *sizes in parts]),
            policy_hash=policy, unverified=unverified,
        )  # fmt: skip
        holds = [
            Hold(one, _amount(amount), None, shown) for (one, shown), amount in zip(self._chains[chain], amounts, strict=True)
        ]
        return ReserveVerb(call, tuple(holds), _instant(expires), _events(events))

    def _settle(
        self, verb: Any, call_id: Any, chain: Any, at: Any, outcome: Any, amounts: Any, cost: Any, certainty: Any, usage: Any,
        seconds: Any, rest: Any, events: Any,
    ) -> SettleVerb:  # fmt: skip
        tokens = None if usage is None else Usage(**dict(zip(USAGE_FIELDS, usage, strict=False)))
        model, request, *more = rest
        error, status, attempts, from_cache, tools, digest, chars, note = more or (None, None, None, False, (), None, 0, None)
        settlement = Settlement(
            at=_instant(at), outcome=OutcomeKind(outcome), amounts=self._amounts(chain, amounts),
            cost_nanos=None if cost is None else _amount(cost), certainty=Certainty(certainty), usage=tokens,
            duration_seconds=seconds, model_answered=model, provider_request_id=request, error=error, error_status=status,
            attempt_count=attempts, from_cache=from_cache, tool_names=tuple(tools), result_hash=digest, result_chars=chars,
            note=note,
        )  # fmt: skip
        return SettleVerb(_text(call_id), settlement, verb == VOID, verb == ASSUME, _events(events))

    def _amounts(self, chain: int, amounts: Any) -> Mapping[str, int]:
        if isinstance(amounts, dict):
            return {_text(key): _amount(amount) for key, amount in amounts.items()}
        accounts = self._chains[chain]
        return {account.key: _amount(amount) for (account, _), amount in zip(accounts, amounts, strict=True)}


def _events(said: list[Any]) -> tuple[Event, ...]:
    return tuple([
        Event(
            id=_text(e[0]), kind=e[1], at=_instant(e[2]), severity=e[3], message=e[4], app=e[5], session=e[6], run=e[7],
            agent=e[8], feature=e[9], call_id=e[10], facts=dict(e[11]),
        )
        for e in said
    ])  # fmt: skip


def _text(said: Any) -> str:
    if type(said) is not str:
        raise TypeError(said)
    return said


def _amount(said: Any) -> int:
    if type(said) is not int or not 0 <= said <= MAX_AMOUNT:
        raise ValueError(said)
    return said


def _instant(said: Any) -> datetime:
    return EPOCH + MICROSECOND * said  # type: ignore[no-any-return]
