"""A run of the ledger as a file that can leave the house: digests, sizes, tokens and costs, no content.

Ids of people and conversations are keyed digests; texts of errors are digests, of which equal failures have equal ones. What
can be told from names stays: tools, models, agents, features. Playing the file judges by digests, so whatever looks at
*likeness* of arguments (near-duplicates) sees different calls where the ledger's guard saw similar ones.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from runguard_core.detectors import Fingerprint, error_mark
from runguard_core.ledger import Event
from runguard_core.money import usd_text
from runguard_core.replay._hearing import rule_of
from runguard_core.replay._recording import RecordedEvent, Recording

LIMITS = (
    "No content: args, results, answers and errors are keyed digests and sizes. Rules that compare digests (repeat, cycle, same "
    "result, error streak) and counts (budgets, growth) play as they did, but for the patience that an answer earns by its "
    'words ("pending", "ok"); rules that compare the likeness of arguments (near-duplicates) or read results cannot. '
    "Calls that were refused are marked, model calls refused by a budget are not here."
)
_SAID = ("rule", "budget", "unit", "limit", "posted", "pending", "requested", "retry", "repeat_count", "share", "used")
#: An exception's name before its text. Adapters also hand over what a tool answered as its failure, which begins with anything.
_TYPE = re.compile(
    r"(?:[A-Za-z_]\w{0,40}\.){0,6}[A-Z]\w{0,60}(?:Error|Exception|Timeout|Interrupt|Exit|Warning)(?=:|$)", re.ASCII
)
_WHO = ("feature", "team", "release")

Digest = Callable[[str], str]


def incident_json(recording: Recording, said: Iterable[Event], digest: Digest) -> dict[str, Any]:
    """One line of an incident file.

    Args:
        recording: a run of the ledger. said: what the guard said of it. digest: keyed, of a text.
    """
    calls = [event for event in recording.events if not event.was_refused]
    return {
        "run_id": recording.run_id,
        "source": "RunGuard incident",
        "limits": LIMITS,
        "session": digest(recording.session) if recording.session else None,
        **({"user": digest(recording.who["user"])} if "user" in recording.who else {}),
        **{key: recording.who[key] for key in _WHO if key in recording.who},
        "started_at": recording.started_at.isoformat() if recording.started_at else None,
        "labels": None,
        "outcome": dict(recording.outcome) or None,
        "totals": _totals(calls),
        "said": [_said(event) for event in said],
        "events": [event_json(event, digest) for event in recording.events],
    }


def _totals(events: Iterable[RecordedEvent]) -> dict[str, Any]:
    models = [event for event in events if event.kind == "llm"]
    return {
        "llm_calls": len(models),
        "input_tokens": sum(event.input_tokens or 0 for event in models),
        "output_tokens": sum(event.output_tokens or 0 for event in models),
        "cost_usd": usd_text(sum(event.cost_nanos or 0 for event in models)),
    }


def _said(event: Event) -> dict[str, Any]:
    """Kind, rule and numbers; not the sentence, which may name people or conversations."""
    numbers = {key: event.facts[key] for key in _SAID if event.facts.get(key) is not None}
    return {"at": event.at.isoformat(), "kind": event.kind, "severity": event.severity, **numbers, "rule": rule_of(event)}


def event_json(event: RecordedEvent, digest: Digest) -> dict[str, Any]:
    """One event of an incident file; what is not known is left out."""
    found: dict[str, Any] = {
        "i": event.index, "kind": event.kind, "agent": event.agent,
        "instance": digest(event.instance) if event.instance else None, "name": event.name,
        "args_sha1": event.args_digest, "result_sha1": event.result_digest, "result_len": event.result_chars,
        "text_sha1": event.text_digest, "text_len": event.text_chars, **_failure(event, digest), "model": event.model,
        "provider": event.provider, "input_tokens": event.input_tokens, "output_tokens": event.output_tokens,
        "cached_tokens": event.cached_tokens, "cache_write_tokens": event.cache_write_tokens,
        "reasoning_tokens": event.reasoning_tokens,
        "cost_usd": None if event.cost_nanos is None else usd_text(event.cost_nanos),
        "cost_certainty": "charged" if event.is_charged else None, "n_messages": event.message_count,
        "parts": [_part(part) for part in event.parts] or None, "ts": event.at.isoformat() if event.at else None,
        "duration_s": event.duration_seconds, "refused": event.was_refused or None,
    }  # fmt: skip
    return {key: value for key, value in found.items() if value is not None}


def _part(part: Any) -> Mapping[str, Any]:
    return {"origin": part.origin, "chars": part.chars, "message_count": part.message_count}


def _failure(event: RecordedEvent, digest: Digest) -> dict[str, Any]:
    """The type of an error, and a digest that equal failures share, numbers and ids in it aside."""
    if event.error is None:
        return {"error_status": event.error_status}
    kind = _TYPE.match(event.error)
    folded = error_mark(event.name or "", event.error, _FOLDING)
    return {"error_type": kind.group() if kind else None, "error_sha1": digest(folded), "error_status": event.error_status}


#: Folds an error's text to what equal failures share; the keyed digest is taken of that.
_FOLDING = Fingerprint(b"incident")
