"""Generated traffic into a ledger, through the verbs of its store, and as recordings."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from hashlib import blake2b, sha1
from itertools import islice
from typing import Any

from runguard_core.attribution import Attribution
from runguard_core.calls import CallKind, OutcomeKind
from runguard_core.ids import encode_id
from runguard_core.ledger import CallRecord, Settlement, Store
from runguard_core.testing._traffic import TrafficCall

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_HOLD = timedelta(minutes=10)
_TOGETHER_COUNT = 500


@dataclass(frozen=True, slots=True)
class Release:
    """A version of the program, and when it began to serve (UTC)."""

    name: str
    at: datetime


def write_traffic(
    store: Store,
    calls: Iterable[TrafficCall],
    app: str,
    *,
    releases: Sequence[Release] = (),
    progress: Callable[[int], None] | None = None,
) -> int:
    """Reserve and post every call at its own time; how many.

    Args:
        store: any store. calls: in the order of time, as `make_traffic` gives them. app: the program's name.
        releases: by their times; a call carries the last one that had begun.
        progress: told how many calls are in, now and then.

    A store that can take many verbs in one step is asked to. The same traffic has the same ids: writing it twice changes nothing.
    """
    count, source, begun = 0, iter(calls), [release.at for release in releases]
    while some := list(islice(source, _TOGETHER_COUNT)):
        with getattr(store, "together", nullcontext)():
            for call in some:
                place = bisect_right(begun, call.at)
                record, settlement = ledger_rows(call, app, count, releases[place - 1].name if place else None)
                store.reserve(record, (), expires_at=record.started_at + _HOLD, owner="traffic")
                store.post(record.id, settlement)
                count += 1
        if progress is not None:
            progress(count)
    return count


def ledger_rows(call: TrafficCall, app: str, number: int = 0, release: str | None = None) -> tuple[CallRecord, Settlement]:
    """A call as the ledger keeps it: what was known before it, and how it ended. `number` keeps equal calls apart."""
    of = call.of
    who = Attribution(
        app=app, feature=of.feature, team=None if _is_untagged(call) else of.team, owner=of.owner or None, agent=of.agent,
        user=call.user, session=call.session, run=call.run, turn=call.turn, loop=call.loop, release=release,
    )  # fmt: skip
    mark = blake2b(f"{call.session}\0{call.run}\0{call.turn}\0{call.tool}\0{number}".encode(), digest_size=10).digest()
    millis = (call.at - _EPOCH) // timedelta(milliseconds=1)
    signature = blake2b(f"{call.tool}\0{call.argument}".encode(), digest_size=16).hexdigest() if call.tool else None
    record = CallRecord(
        id=encode_id(millis << 80 | int.from_bytes(mark, "big")), kind=CallKind.TOOL if call.tool else CallKind.MODEL,
        name=call.tool or call.model, attribution=who, started_at=call.at, provider=None if call.tool else of.provider,
        account=of.account or None if not call.tool else None, quote_nanos=call.nanos, signature=signature, parts=call.parts,
    )  # fmt: skip
    settlement = Settlement(
        at=call.at + timedelta(seconds=call.duration_seconds),
        outcome=OutcomeKind.FAILED if call.error else OutcomeKind.COMPLETED,
        cost_nanos=call.nanos, usage=call.usage, duration_seconds=call.duration_seconds, error=call.error or None,
        result_chars=call.result_chars,
    )  # fmt: skip
    return record, settlement


def _is_untagged(call: TrafficCall) -> bool:
    """Whether its session is one of those without a team: a session's name decides."""
    if not call.of.untagged_ratio:
        return False
    drawn = int.from_bytes(blake2b(call.session.encode(), digest_size=4).digest(), "big")
    return drawn < call.of.untagged_ratio * 2**32


def recordings(calls: Iterable[TrafficCall]) -> Iterator[dict[str, Any]]:
    """One run a session, in the format that `runguard replay` reads."""
    sessions: dict[str, list[TrafficCall]] = {}
    for call in calls:
        sessions.setdefault(call.session, []).append(call)
    for session, made in sessions.items():
        yield {
            "run_id": session, "source": "generated traffic", "labels": None, "outcome": None,
            "events": [_recorded(call, index) for index, call in enumerate(made)],
        }  # fmt: skip


def _recorded(call: TrafficCall, index: int) -> dict[str, Any]:
    event: dict[str, Any] = {"i": index, "ts": call.at.isoformat(), "agent": call.of.agent, "step": call.turn}
    if call.usage is None:
        asked, found = f"{call.tool} {call.argument}", f"{call.session} {index} {call.result_chars}"
        return event | {
            "kind": "tool", "name": call.tool, "args": {"q": call.argument}, "args_sha1": _sha1(asked), "args_len": len(asked),
            "result_sha1": _sha1(found if call.argument > 1 else asked), "result_len": call.result_chars,
        }  # fmt: skip
    return event | {
        "kind": "llm", "model": call.model, "input_tokens": call.usage.input_tokens, "output_tokens": call.usage.output_tokens,
        "cached_tokens": call.usage.cache_read_input_tokens, "cost_usd": call.nanos / 1e9, "text_len": call.result_chars,
    }  # fmt: skip


def _sha1(text: str) -> str:
    return sha1(text.encode(), usedforsecurity=False).hexdigest()
