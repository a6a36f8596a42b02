"""Values to texts and back."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from dataclasses import fields as fields_of
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from operator import attrgetter
from typing import Any

from runguard_core.attribution import Attribution
from runguard_core.calls import CallKind, Certainty, OutcomeKind, PromptPart
from runguard_core.ledger import (
    Account,
    Balance,
    CallRecord,
    Hold,
    Settlement,
    Unit,
)
from runguard_core.usage import USAGE_FIELDS, Usage

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_WHO = tuple(field.name for field in fields_of(Attribution))
#: Fields of a request and of a settlement that JSON holds as they are; those that say nothing are left out.
_PLAIN = ("name", "provider", "account", "key_fingerprint", "quote_is_bound", "max_output_tokens", "signature", "policy_hash",
          "unverified")  # fmt: skip
_PLAIN_SETTLED = ("duration_seconds", "model_answered", "provider_request_id", "error", "error_status", "attempt_count",
                  "from_cache", "result_hash", "result_chars", "note")  # fmt: skip


def micros(at: datetime | None) -> int | None:
    """Microseconds since 1970, exact."""
    return None if at is None else (at - _EPOCH) // _MICROSECOND


def instant(value: int | str) -> datetime:
    """The way back."""
    return _EPOCH + timedelta(microseconds=int(value))


def fit(text: str) -> str:
    """A text that UTF-8 can hold: what programs and providers say may hold lone surrogates."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


#: ASCII and compact; one encoder, for making one costs more than using it.
encode = json.JSONEncoder(ensure_ascii=True, separators=(",", ":"), default=str).encode


def loads(text: str) -> Any:
    """The way back."""
    return json.loads(text)


def fitted(value: Any) -> Any:
    """A text that fits; anything else as it is."""
    return fit(value) if isinstance(value, str) else value


class _Said:
    """Fields of a kind of value that differ from their defaults: the rest need not be kept a million times."""

    def __init__(self, kind: type, names: Sequence[str]) -> None:
        default = {field.name: field.default for field in fields_of(kind)}
        self._get = attrgetter(*names)
        self._fields = [(name, default[name]) for name in names]

    def __call__(self, source: object) -> dict[str, Any]:
        return {
            name: fitted(value)
            for (name, default), value in zip(self._fields, self._get(source), strict=True)
            if value is not default and (value != default or type(value) is not type(default))
        }


_said_of_who = _Said(Attribution, _WHO)
_said_of_call = _Said(CallRecord, _PLAIN)
_said_of_end = _Said(Settlement, _PLAIN_SETTLED)
_counted = _Said(Usage, USAGE_FIELDS)


# -- calls ------------------------------------------------------------------------------------------------------------


def request_text(call: CallRecord) -> str:
    """What is known of a call at its admission."""
    who = _said_of_who(call.attribution)
    parts = [[p.origin, p.chars, p.message_count, p.new_chars] for p in call.parts]
    values = {"kind": call.kind.value, "started_at": micros(call.started_at), "who": who} | _said_of_call(call)
    return encode(values | {"quote_nanos": _text(call.quote_nanos)} | ({"parts": parts} if parts else {}))


def settlement_text(settlement: Settlement, *, has_amounts: bool = True) -> str:
    """How it ended. Without amounts, where those in the call's standing are all there are."""
    usage = settlement.usage
    values: dict[str, Any] = {
        "at": micros(settlement.at), "outcome": settlement.outcome.value, "certainty": settlement.certainty.value,
        "cost_nanos": _text(settlement.cost_nanos),
    } | _said_of_end(settlement)  # fmt: skip
    if has_amounts:
        values["amounts"] = {fit(key): str(amount) for key, amount in settlement.amounts.items()}
    if settlement.tool_names:
        values["tool_names"] = [fit(name) for name in settlement.tool_names]
    if usage is not None:
        values["usage"] = _counted(usage)
    return encode(values)


def amount_text(nanos: int | None) -> str:
    """A charge as scripts take it: nothing for one that is unpriced."""
    return "" if nanos is None else str(nanos)


def _text(amount: int | None) -> str | None:
    return None if amount is None else str(amount)


def _whole(text: str | None) -> int | None:
    return None if text is None else int(text)


def call_of(call_id: str, text: str) -> CallRecord:
    """A call at its admission, from its text."""
    row = loads(text)
    who = row["who"] | {"tags": tuple((key, value) for key, value in row["who"].get("tags", ()))}
    return CallRecord(
        id=call_id, kind=CallKind(row["kind"]), attribution=Attribution(**who), started_at=instant(row["started_at"]),
        quote_nanos=_whole(row["quote_nanos"]), parts=tuple(PromptPart(*part) for part in row.get("parts", ())),
        **{name: row[name] for name in _PLAIN if name in row},
    )  # fmt: skip


def settlement_of(text: str, standing: Mapping[str, int]) -> Settlement:
    """How it ended, from its text, and the amounts in the call's standing where it has none itself."""
    row = loads(text)
    amounts = {key: int(amount) for key, amount in row["amounts"].items()} if "amounts" in row else dict(standing)
    return Settlement(
        at=instant(row["at"]), outcome=OutcomeKind(row["outcome"]), certainty=Certainty(row["certainty"]),
        amounts=amounts, cost_nanos=_whole(row["cost_nanos"]),
        usage=Usage(**row["usage"]) if "usage" in row else None, tool_names=tuple(row.get("tool_names", ())),
        **{name: row[name] for name in _PLAIN_SETTLED if name in row},
    )  # fmt: skip


def asked(call: CallRecord, holds: Sequence[Hold]) -> str:
    """What a reserve asks for, digested: the same id with another digest is a conflict. See `CallRecord.same_request`."""
    who = call.attribution
    same = [call.kind.value, fit(call.name), _text(call.quote_nanos), who.session, who.run]
    return _digest([same, [[fit(hold.account.key), str(hold.amount)] for hold in holds]])


def said(settlement: Settlement) -> str:
    """What a settlement says of money, digested. See `Settlement.same_as`."""
    amounts = sorted((fit(key), str(amount)) for key, amount in settlement.amounts.items())
    return _digest([_text(settlement.cost_nanos), settlement.certainty.value, amounts])


def _digest(value: Any) -> str:
    return blake2b(encode(value).encode(), digest_size=12).hexdigest()


def owner_text(owner: str) -> str:
    """Whose call it is, fit for a text whose parts are divided by |."""
    return fit(owner).replace("|", "/")


@dataclass(frozen=True, slots=True)
class Standing:
    """How a call stands: see FIELDS in lua/prelude.lua.

    Attributes:
        state: of `CallState`, or "stone" for a void that came first.
        holds: numbers of accounts and amounts, in order.
        lines: numbers of its lines in the book.
        amounts: what was spent of each hold, in their order; none while pending.
        cost_nanos: its charge so far, 0 where there is none.
        ended: microseconds of its end, "" while there is none.
        owner: whose call it is.
    """

    state: str
    holds: tuple[tuple[str, int], ...]
    lines: tuple[str, ...]
    amounts: tuple[int, ...]
    cost_nanos: int
    ended: str
    owner: str

    @classmethod
    def of(cls, text: str) -> Standing:
        """From its text."""
        state, _, _, holds, lines, _, amounts, cost, ended, owner, *_ = text.split("|")
        pairs = (hold.split("=") for hold in holds.split(",") if hold)
        numbers = tuple(number for number in lines.split(",") if number)
        spent = tuple(int(amount) for amount in amounts.split(",") if amount)
        return cls(
            state, tuple((account, int(amount)) for account, amount in pairs), numbers, spent, int(cost or 0), ended, owner
        )


# -- accounts -----------------------------------------------------------------------------------------------------------


def account_text(account: Account) -> str:
    """An account without its sums."""
    window = [micros(account.window_start), micros(account.window_end)]
    return encode([fit(account.key), account.unit.value, fit(account.title), *window])


def account_of(text: str) -> Account:
    """The way back."""
    key, unit, title, start, end = loads(text)
    return Account(key, Unit(unit), title, *[None if at is None else instant(at) for at in (start, end)])


def holds_text(holds: Sequence[Hold], *, is_admitted: bool = False) -> str:
    """What a reserve sets aside: key, the account, amount, limit, shown limit. What is admitted already is not limited again."""
    texts = []
    for hold in holds:
        limits = "" if is_admitted else amount_text(hold.limit), amount_text(hold.shown_limit)
        texts.append([fit(hold.account.key), account_text(hold.account), str(hold.amount), *limits])
    return encode(texts)


def amounts_text(amounts: Mapping[str, int]) -> str:
    """Amounts by account key."""
    return encode([[fit(key), str(amount)] for key, amount in amounts.items()])


def balance_of(sums: Sequence[str]) -> Balance:
    """From the four sums."""
    return Balance(*map(int, sums[:4]))


def moves_of(text: str) -> Iterator[tuple[str, int, int, int]]:
    """What a line does to accounts: number, pending, posted, assumed."""
    for move in filter(None, text.split(",")):
        number, *amounts = move.split(":")
        pending, posted, assumed = [int(amount) for amount in amounts] + [0] * (3 - len(amounts))
        yield number, pending, posted, assumed
