"""What a journal's records say, as text: one JSON array a verb.

What repeats (who calls, what is called, which accounts) is defined once a segment, in the record that uses it first, and is a
number from then on. Written by hand where it is written for every call: `json.dumps` costs three times as much.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta
from json.encoder import encode_basestring_ascii as quoted
from operator import attrgetter
from typing import Any

from runguard_core.attribution import Attribution
from runguard_core.calls import PromptPart
from runguard_core.ledger import CallDraft, CallOrDraft, CallRecord, Event, SettlementDraft, SettlementOrDraft
from runguard_core.stores.leases._slices import Slice
from runguard_core.usage import USAGE_FIELDS, Usage

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
POST, VOID, ASSUME = 0, 1, 2
#: Fields of an attribution, the tags last.
WHO = tuple([field.name for field in fields(Attribution)])
#: A record that says nothing: it moves the journal's end, so that what is given back has a place of its own.
MARK = b"[]"
_MOST_NAMES = 8192
_COUNTS = attrgetter(*USAGE_FIELDS)


class Names:
    """What has a number in the present segment.

    A definition is known once the record that carries it has been kept: `fresh` are those of the record being written.
    """

    def __init__(self) -> None:
        """None yet."""
        self._who: dict[int, tuple[Attribution, int]] = {}
        self._what: dict[tuple[Any, ...], int] = {}
        self._chains: dict[tuple[Slice, ...], int] = {}
        self._slices: dict[Slice, int] = {}
        self._last = 0
        self.fresh: list[tuple[Any, ...]] = []

    def forget(self) -> None:
        """A new segment begins."""
        for names in (self._who, self._what, self._chains, self._slices):
            names.clear()
        self._last, self.fresh = 0, []

    def keep(self) -> None:
        """The record with the fresh definitions is in the journal."""
        for kind, thing, number, _ in self.fresh:
            if kind == "w":
                self._who[id(thing)] = (thing, number)
            elif kind == "m":
                self._what[thing] = number
            elif kind == "a":
                self._slices[thing] = number
            else:
                self._chains[thing] = number
        self.fresh = []
        if self._last > _MOST_NAMES:
            self._who.clear()
            self._what.clear()

    def who(self, who: Attribution) -> int:
        """The number of an attribution. Callers hand in the same object again and again."""
        known = self._who.get(id(who))
        if known is not None and known[0] is who:
            return known[1]
        return self._define("w", who, [getattr(who, name) for name in WHO])

    def what(self, *said: Any) -> int:
        """The number of what is called: kind, name, provider, account, key, policy, and whether it is a bound, unverified."""
        return self._what.get(said) or self._define("m", said, said)

    def chain(self, touched: tuple[Slice, ...]) -> int:
        """The number of a call's accounts, in order."""
        known = self._chains.get(touched)
        if known is not None:
            return known
        numbers = [self._slices.get(one) or self._define("a", one, _account(one)) for one in touched]
        return self._define("c", touched, numbers)

    def drop(self, changed: set[Slice]) -> None:
        """What is to be said of these accounts has changed, or they are not used any more."""
        for one in changed:
            self._slices.pop(one, None)
        for touched in [touched for touched in self._chains if not changed.isdisjoint(touched)]:
            del self._chains[touched]

    def _define(self, kind: str, thing: Any, said: Any) -> int:
        self._last += 1
        self.fresh.append((kind, thing, self._last, said))
        return self._last


def _account(one: Slice) -> list[Any]:
    account = one.account
    start, end = account.window_start, account.window_end
    return [
        account.key,
        account.unit.value,
        account.title,
        micros(start) if start else None,
        micros(end) if end else None,
        one.shown,
    ]


def micros(at: datetime) -> int:
    """Microseconds since 1970, exact."""
    return (at - EPOCH) // MICROSECOND


def record(text: str, names: Names) -> bytes:
    """The bytes of a record: the verb, with the definitions it is the first to use."""
    if names.fresh:
        defined = json.dumps([[kind, number, said] for kind, _, number, said in names.fresh])
        text = f'{{"d":{defined},"v":{text}}}'
    return text.encode("ascii")


def reserve_text(
    names: Names, call: CallOrDraft, touched: tuple[Slice, ...], amounts: list[int], expires_at: datetime, events: Sequence[Event]
) -> str:
    """A reserve."""
    started, quote, signature = call.started_at, call.quote_nanos, call.signature
    if type(call) is CallDraft:
        what, turn, loop = call.call, call.turn, call.loop
        if isinstance(what, str):
            kind, name, provider, account, key, most, parts = "tool", what, None, None, None, None, ""
        else:
            kind, name, provider, account, key = "model", what.model, what.provider, what.account, what.key_fingerprint
            most, parts = what.max_output_tokens, _parts(what.parts)
    else:
        turn, loop = call.who.turn, call.who.loop
        kind, name, provider, account, key, most, parts = _call(call)  # type: ignore[arg-type]
    number = names.what(kind, name, provider, account, key, call.policy_hash, call.quote_is_bound, call.unverified, most)
    return (
        f'["r",{quoted(call.id)},{names.who(call.who)},{number},{names.chain(touched)},{amounts},'
        f"{(started - EPOCH) // MICROSECOND},{(expires_at - EPOCH) // MICROSECOND},"
        f"{'null' if quote is None else quote},{turn or 'null'},{loop or 'null'},"
        f"{'null' if signature is None else quoted(signature)},[{parts}],{_events(events) if events else '[]'}]"
    )


def _call(call: CallRecord) -> tuple[Any, ...]:
    parts = _parts(call.parts)
    return (call.kind.value, call.name, call.provider, call.account, call.key_fingerprint, call.max_output_tokens, parts)


def _parts(parts: Sequence[PromptPart]) -> str:
    return ",".join(
        [f"[{quoted(part.origin)},{part.chars},{part.message_count},{part.new_chars}]" for part in parts]
    )  # fmt: skip


def _events(events: Sequence[Event]) -> str:
    said = [
        [
            e.id, e.kind, micros(e.at), e.severity, e.message, e.app, e.session, e.run, e.agent, e.feature, e.call_id,
            dict(e.facts),
        ]
        for e in events
    ]  # fmt: skip
    return json.dumps(said, default=str)


def settle_text(
    names: Names, verb: int, call_id: str, touched: tuple[Slice, ...], actuals: list[int], settlement: SettlementOrDraft,
    events: Sequence[Event],
) -> str:  # fmt: skip
    """A post, a void, or an assumption.

    Args:
        actuals: what was spent of each account, in order.
    """
    usage, certainty = settlement.usage, settlement.certainty
    cost = 0 if verb == VOID else settlement.cost_nanos
    amounts = "{}" if verb == VOID else _amounts(settlement.amounts, touched, actuals)
    if type(settlement) is SettlementDraft:
        outcome, rest = settlement.outcome.kind, _rest_of_draft(settlement)
    else:
        whole = settlement.record()
        outcome, rest = whole.outcome, _rest(whole)
    return (
        f'["s",{verb},{quoted(call_id)},{names.chain(touched)},{(settlement.at - EPOCH) // MICROSECOND},"{outcome}",{amounts},'
        f'{"null" if cost is None else cost},"{certainty}",{"null" if usage is None else _usage(usage)},'
        f"{_seconds(settlement.duration_seconds)},{rest},{_events(events) if events else '[]'}]"
    )


def _seconds(seconds: float | None) -> str:
    """A number that JSON has: neither NaN nor infinite."""
    return repr(seconds) if seconds is not None and -1e18 < seconds < 1e18 else "null"


def _amounts(amounts: Mapping[str, int], touched: tuple[Slice, ...], actuals: list[int]) -> str:
    """As a list, in the order of the accounts, where it speaks of exactly those."""
    if list(amounts) == [one.key for one in touched]:
        return str(actuals)
    return json.dumps(dict(amounts))


def _usage(usage: Usage) -> str:
    counts = _COUNTS(usage)
    return str(list(counts)) if any(counts[2:]) else f"[{counts[0]},{counts[1]}]"


def _rest_of_draft(it: SettlementDraft) -> str:
    out = it.outcome
    if out.error is None and not out.from_cache and not out.tool_names and out.output_text_hash is None and it.note is None:
        model, request = out.model, out.provider_request_id
        if out.attempt_count is None and not out.output_chars and out.error_status is None:
            return f"[{'null' if model is None else quoted(model)},{'null' if request is None else quoted(request)}]"
    return _rest(it.record())


def _rest(it: Any) -> str:
    """What most settlements leave empty."""
    said = [
        it.model_answered, it.provider_request_id, it.error, it.error_status, it.attempt_count, it.from_cache, it.tool_names,
        it.result_hash, it.result_chars, it.note,
    ]  # fmt: skip
    return json.dumps(said)
