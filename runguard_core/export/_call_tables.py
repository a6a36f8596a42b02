"""The tables of calls and of tool calls: a row a call, as it stands in the ledger."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from runguard_core.attribution import feature_of
from runguard_core.calls import CallKind
from runguard_core.export._table import Column, Kind, Row, Table
from runguard_core.ledger import CallRecord, Settlement, conversation_of, model_of
from runguard_core.money import nanos_to_usd
from runguard_core.usage import USAGE_FIELDS

_TEXT, _INT, _NANOS, _USD, _BOOL = Kind.TEXT, Kind.INT, Kind.NANOS, Kind.USD, Kind.BOOL

#: Who pays and where in the program.
WHO = (
    Column("app", _TEXT, "the program", True),
    Column("feature", _TEXT, "what the product sells; the app where a call names none", True),
    Column("team", _TEXT, "who answers for the cost"),
    Column("owner", _TEXT, "the person who answers for it"),
    Column("agent", _TEXT, "name of the agent"),
    Column("instance", _TEXT, "which of several of that agent running at once"),
    Column("user", _TEXT, "the end user"),
    Column("session", _TEXT, "the conversation; the run, else the call, where none was named", True),
    Column("run", _TEXT, "one root invocation of an agent"),
    Column("turn", _INT, "round of the agent's loop within the run, from 1"),
    Column("loop", _INT, "tool loop within the run, from 1"),
    Column("release", _TEXT, "version of the program"),
    Column("tags", Kind.JSON, "free pairs", True),
)
_STANDING = (
    Column("started_at", Kind.INSTANT, "when it was admitted: the cost belongs to this day", True),
    Column("settled_at", Kind.INSTANT, "when it was known how it ended; none while pending"),
    Column("duration_seconds", Kind.SECONDS, "from admission to the end"),
    Column("state", _TEXT, "pending, posted, voided (nothing was billed) or assumed (a crash; may be corrected)", True),
    Column("outcome", _TEXT, "completed, failed, cancelled or unknown; none while pending"),
    Column("certainty", _TEXT, "of the cost: exact, estimated, unpriced or assumed; none while pending"),
    Column("quote_nanos", _NANOS, "set aside for it, nano-USD; none where no price is known"),
    Column("cost_nanos", _NANOS, "charged, nano-USD (1 USD = 10^9); 0 while pending, voided or unpriced", True),
    Column("cost_usd", _USD, "the same in USD, nine digits behind the point", True),
)
_ENDED = (
    Column("attempt_count", _INT, "requests the client library made; none where they are not seen"),
    Column("from_cache", _BOOL, "the framework answered from its own cache: no request was made", True),
    Column("error", _TEXT, "type and short message of what went wrong"),
    Column("error_status", _INT, "its HTTP status"),
    Column("result_chars", _INT, "characters of the answer or result", True),
    Column("result_hash", _TEXT, "keyed digest of the answer or result"),
    Column("unverified", _BOOL, "admitted although the ledger could not be asked", True),
    Column("policy_hash", _TEXT, "of the policy that admitted it", True),
    Column("note", _TEXT, "why, for corrections and voids"),
)
_ASKED = (
    Column("provider", _TEXT, "who was asked"),
    Column("model", _TEXT, "the model that answered, else the one asked for", True),
    Column("model_asked", _TEXT, "the model asked for", True),
    Column("account", _TEXT, "the provider's account or project"),
    Column("key_fingerprint", _TEXT, "keyed digest of the API key"),
)
TOKENS = tuple([Column(name, _INT, "as the provider counts, totals inclusive; none where not known") for name in USAGE_FIELDS])
_MODEL_ONLY = (
    Column("quote_is_bound", _BOOL, "the quote was the most it could cost", True),
    Column("max_output_tokens", _INT, "the request's own limit"),
    Column("prompt_chars", _INT, "characters of the prompt, 0 where not measured", True),
    Column("prompt_parts", Kind.JSON, "characters of the prompt by where they come from", True),
    Column("tool_names", Kind.JSON, "tools the answer asks for", True),
    Column("provider_request_id", _TEXT, "the provider's id of the answer"),
)

CALLS = Table("calls", 1, (*WHO, *_ASKED, *_STANDING, *TOKENS, *_MODEL_ONLY, *_ENDED), "a call to a model")
TOOL_CALLS = Table(
    "tool-calls",
    1,
    (
        *WHO,
        Column("tool", _TEXT, "its name", True),
        Column("signature", _TEXT, "keyed digest of name and arguments: equal calls have equal ones"),
        *_STANDING,
        *_ENDED,
    ),
    "a run of a tool",
)
_NO_TOKENS = (None,) * len(USAGE_FIELDS)


def model_row(call: CallRecord) -> Row:
    """A row of CALLS, `revision` left out."""
    ended = call.settlement
    usage = ended.usage if ended is not None else None
    tokens = _NO_TOKENS if usage is None else tuple([getattr(usage, name) for name in USAGE_FIELDS])
    asked = (call.provider, model_of(call), call.name, call.account, call.key_fingerprint)
    parts: dict[str, int] = {}
    for part in call.parts:
        parts[part.origin] = parts.get(part.origin, 0) + part.chars
    only = (
        call.quote_is_bound, call.max_output_tokens, sum(parts.values()), _json(parts),
        _json(ended.tool_names if ended is not None else ()), ended.provider_request_id if ended is not None else None,
    )  # fmt: skip
    return (call.id, *_who(call), *asked, *_standing(call), *tokens, *only, *_ended(call, ended))


def tool_row(call: CallRecord) -> Row:
    """A row of TOOL_CALLS, `revision` left out."""
    return (call.id, *_who(call), call.name, call.signature, *_standing(call), *_ended(call, call.settlement))


ROWS = {CallKind.MODEL: model_row, CallKind.TOOL: tool_row}


def _who(call: CallRecord) -> Row:
    who = call.attribution
    return (
        who.app, feature_of(who), who.team, who.owner, who.agent, who.instance, who.user, conversation_of(call), who.run,
        who.turn, who.loop, who.release, _json(dict(who.tags)),
    )  # fmt: skip


def _standing(call: CallRecord) -> Row:
    ended, cost = call.settlement, call.cost_nanos
    if ended is None:
        return (call.started_at, None, None, call.state.value, None, None, call.quote_nanos, 0, nanos_to_usd(0))
    return (
        call.started_at, ended.at, ended.duration_seconds, call.state.value, ended.outcome.value, ended.certainty.value,
        call.quote_nanos, cost, nanos_to_usd(cost),
    )  # fmt: skip


def _ended(call: CallRecord, ended: Settlement | None) -> Row:
    if ended is None:
        return (None, False, None, None, 0, None, call.unverified, call.policy_hash, None)
    return (
        ended.attempt_count, ended.from_cache, ended.error, ended.error_status, ended.result_chars, ended.result_hash,
        call.unverified, call.policy_hash, ended.note,
    )  # fmt: skip


def _json(value: Mapping[str, Any] | tuple[str, ...]) -> str:
    return "{}" if value == {} else "[]" if value == () else json.dumps(value, separators=(",", ":"))
