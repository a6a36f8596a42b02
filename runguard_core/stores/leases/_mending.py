"""What a store cannot take of a verb is left out, so that the odd number of one call does not keep others' money from the book.

A journal takes any whole number, a column takes 64 bits of it. The guard lets no such number through; a program that calls a
store itself, or a version that writes what another one cannot read, might.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from runguard_core.ledger import LeaseVerb, ReserveVerb, SettleVerb
from runguard_core.money import MAX_AMOUNT


def mended(verbs: Sequence[LeaseVerb]) -> list[LeaseVerb]:
    """The same without counts that no column holds."""
    return [_mended_reserve(verb) if isinstance(verb, ReserveVerb) else _mended_settle(verb) for verb in verbs]


def bare(verbs: Sequence[LeaseVerb]) -> list[LeaseVerb]:
    """Who, when, how much: what the money needs, and nothing that describes it."""
    return [_bare_reserve(verb) if isinstance(verb, ReserveVerb) else _bare_settle(verb) for verb in mended(verbs)]


def _mended_reserve(verb: ReserveVerb) -> ReserveVerb:
    call = verb.call.record()
    who = call.attribution
    sound = replace(who, turn=_count(who.turn), loop=_count(who.loop))
    parts = tuple(part for part in call.parts if None not in map(_count, (part.chars, part.message_count, part.new_chars)))
    kept = replace(
        call, attribution=sound, parts=parts, max_output_tokens=_count(call.max_output_tokens),
        quote_nanos=_count(call.quote_nanos),
    )  # fmt: skip
    return replace(verb, call=kept)


def _mended_settle(verb: SettleVerb) -> SettleVerb:
    told = verb.settlement.record()
    kept = replace(
        told, usage=told.usage if told.usage is not None and told.usage.is_sound else None,
        error_status=_count(told.error_status), attempt_count=_count(told.attempt_count),
        result_chars=_count(told.result_chars) or 0,
    )  # fmt: skip
    return replace(verb, settlement=kept)


def _bare_reserve(verb: ReserveVerb) -> ReserveVerb:
    return replace(verb, call=replace(verb.call.record(), parts=()), events=())


def _bare_settle(verb: SettleVerb) -> SettleVerb:
    told = verb.settlement.record()
    kept = replace(
        told, usage=None, model_answered=None, provider_request_id=None, error=None, tool_names=(), result_hash=None, note=None
    )
    return replace(verb, settlement=kept, events=())


def _count(number: int | None) -> int | None:
    return number if type(number) is int and 0 <= number <= MAX_AMOUNT else None
