"""How a call's values are made small for its row, and whole again: ids, digests, amounts by rule, sizes of a prompt.

What a row leaves out is what a rule says anyway: a hold in USD is the quote, a post in USD is the cost. Whatever differs is
written in full, so that every value comes back as it was.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from runguard_core.calls import Certainty, OutcomeKind, PromptPart
from runguard_core.ids import encode_id
from runguard_core.ledger import CallState, EntryKind, Hold, Settlement, Unit
from runguard_core.usage import USAGE_FIELDS, Usage

#: What stands in the columns `state`, `outcome` and `certainty`: the place in these lists. Places are never given to others.
STATES = (CallState.PENDING, CallState.POSTED, CallState.VOIDED, CallState.ASSUMED)
OUTCOMES = (OutcomeKind.COMPLETED, OutcomeKind.FAILED, OutcomeKind.CANCELLED, OutcomeKind.UNKNOWN)
CERTAINTIES = (Certainty.EXACT, Certainty.ESTIMATED, Certainty.UNPRICED, Certainty.ASSUMED)
#: The verb that wrote the line which closed a call, by the state it left.
CLOSING_KINDS = {CallState.POSTED: EntryKind.POST, CallState.VOIDED: EntryKind.VOID, CallState.ASSUMED: EntryKind.EXPIRE}
#: Token counts with a column of their own; the others are rare and stand in `more`.
TOKEN_COLUMNS = (
    "input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "reasoning_output_tokens",
)  # fmt: skip
RARE_TOKENS = tuple([name for name in USAGE_FIELDS if name not in TOKEN_COLUMNS])

#: What the column `flags` adds up: the quote is a bound, admitted unasked, from a cache, the closing line is in `entry`.
IS_BOUND, UNVERIFIED, FROM_CACHE, CORRECTED = 1, 2, 4, 8

_ID_CHARS, _DIGEST_CHARS = 26, 32
_CROCKFORD, _BASE_32 = "0123456789ABCDEFGHJKMNPQRSTVWXYZ", "0123456789abcdefghijklmnopqrstuv"
_TO_BASE_32 = bytes([ord(_BASE_32[_CROCKFORD.index(chr(code))]) if chr(code) in _CROCKFORD else 0x21 for code in range(256)])


class Leg(NamedTuple):
    """One account of a call: its row's id, its key, what it counts."""

    id: int
    key: str
    unit: Unit


def pack_id(text: str) -> bytes | str:
    """An id of ours as 16 bytes that sort like it, a UUID as 17 (a zero and its bytes), any other text as it is."""
    if len(text) == _ID_CHARS and text[0] < "8":
        try:
            return int(text.encode("ascii").translate(_TO_BASE_32), 32).to_bytes(16, "big")
        except ValueError:
            return fit(text)
    if len(text) == 36 and text[8] == "-":
        packed = _bytes_of(text.replace("-", ""))
        if packed is not None and unpack_id(b"\0" + packed) == text:
            return b"\0" + packed
    return fit(text)


def unpack_id(kept: bytes | str) -> str:
    """The way back."""
    if isinstance(kept, str):
        return kept
    if len(kept) == 16:
        return encode_id(int.from_bytes(kept, "big"))
    digits = kept[1:].hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


def pack_digest(text: str | None) -> bytes | str | None:
    """A digest of 32 hexadecimal characters as 16 bytes, any other text as it is."""
    if text is None or len(text) != _DIGEST_CHARS:
        return text
    packed = _bytes_of(text)
    return packed if packed is not None and packed.hex() == text else text


def unpack_digest(kept: bytes | str | None) -> str | None:
    """The way back."""
    return kept.hex() if isinstance(kept, bytes) else kept


def _bytes_of(digits: str) -> bytes | None:
    try:
        return bytes.fromhex(digits)
    except ValueError:
        return None


def pack_held(holds: Sequence[Hold], quote_nanos: int | None) -> str | None:
    """Amounts set aside, in the order of the legs; nothing where each is what the rule says."""
    for hold in holds:
        if hold.amount != ((quote_nanos or 0) if hold.account.unit is Unit.USD else 1):
            return _list_text([one.amount for one in holds])
    return None


def unpack_held(kept: str | None, legs: Sequence[Leg], quote_nanos: int | None) -> list[int]:
    """The way back. The rule: in USD the quote, else one."""
    if kept is not None:
        return json.loads(kept)  # type: ignore[no-any-return]  # a list of ours
    return [(quote_nanos or 0) if leg.unit is Unit.USD else 1 for leg in legs]


def pack_spent(legs: Sequence[Leg], held: Sequence[int], settlement: Settlement) -> str | None:
    """Amounts of a settlement: nothing where each is what the rule says, a list by leg, or an object by account key."""
    amounts, cost, usage, duration = settlement.amounts, settlement.cost_nanos, settlement.usage, settlement.duration_seconds
    if len(amounts) != len(legs):
        return _json(dict(amounts))
    ruled = True
    for place, leg in enumerate(legs):
        amount = amounts.get(leg.key)
        if amount is None:
            return _json(dict(amounts))
        ruled = ruled and amount == _ruled(leg.unit, held[place], cost, usage, duration)
    return None if ruled else _list_text([amounts[leg.key] for leg in legs])


def unpack_spent(
    kept: str | None, legs: Sequence[Leg], held: Sequence[int], cost: int | None, usage: Usage | None, duration: float | None
) -> Mapping[str, int]:
    """The way back: amounts by account key."""
    if kept is None:
        return {leg.key: _ruled(leg.unit, held[place], cost, usage, duration) for place, leg in enumerate(legs)}
    found = json.loads(kept)
    if isinstance(found, dict):
        return found
    return {leg.key: amount for leg, amount in zip(legs, found, strict=True)}


def _ruled(unit: Unit, held: int, cost_nanos: int | None, usage: Usage | None, duration_seconds: float | None) -> int:
    """What is spent by rule: of USD the cost, of tokens the usage, of seconds the time, else what was held."""
    if unit is Unit.USD:
        return cost_nanos or 0
    if unit is Unit.TOKENS:
        return usage.total_tokens if usage is not None else 0
    if unit is Unit.SECONDS and duration_seconds is not None:
        return max(1, round(duration_seconds * 1000))
    return held


def pack_sizes(parts: Sequence[PromptPart]) -> str | None:
    """Sizes of a prompt's parts, "chars:messages:new chars" each, of which an end of ":1:0" is left out; None without parts."""
    if not parts:
        return None
    return ",".join([_size(part) for part in parts])


def _size(part: PromptPart) -> str:
    if part.new_chars:
        return f"{part.chars}:{part.message_count}:{part.new_chars}"
    return str(part.chars) if part.message_count == 1 else f"{part.chars}:{part.message_count}"


def unpack_parts(origins: Sequence[str], sizes: str | None) -> tuple[PromptPart, ...]:
    """The way back, with where each part came from."""
    if sizes is None:
        return ()
    return tuple([PromptPart(origin, *map(int, size.split(":"))) for origin, size in zip(origins, sizes.split(","), strict=True)])


def pack_more(settlement: Settlement) -> str | None:
    """What few settlements have: an error, a note, rare tokens; None without any."""
    more: dict[str, object] = {}
    usage = settlement.usage
    if usage is not None:
        for name in RARE_TOKENS:
            count = getattr(usage, name)
            if count:
                more[name] = count
    for name in ("error", "error_status", "note"):
        said = getattr(settlement, name)
        if said is not None:
            more[name] = fit(said) if isinstance(said, str) else said
    return _json(more) if more else None


def fit(text: str) -> str:
    """A text fit for UTF-8 and C: what programs and providers say may hold lone surrogates and NUL."""
    if not text.isascii():
        text = text.encode("utf-8", "replace").decode("utf-8")
    return text.replace("\0", "\ufffd") if "\0" in text else text


def _list_text(amounts: Sequence[int]) -> str:
    return f"[{','.join(map(str, amounts))}]"


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=True, separators=(",", ":"))
