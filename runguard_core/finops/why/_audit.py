"""Who did what, when, why, from what to what: the decisions among the events of a ledger."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from runguard_core import events as ev
from runguard_core.ledger import Event

#: What a person did, by the word that `--kind` takes, and the events of it.
DECISIONS: Mapping[str, tuple[str, ...]] = {
    "policy": (ev.POLICY_CHANGED,),
    "kill": (ev.KILLED,),
    "reset": (ev.RESET,),
    "raise": (ev.LIMIT_CHANGED,),
    "label": (ev.ANOMALY_LABELLED,),
    "acknowledge": (ev.ANOMALY_ACKNOWLEDGED,),
    "resolve": (ev.ANOMALY_RESOLVED,),
    "action": (ev.ACTION_OPENED, ev.ACTION_CHANGED, ev.ACTION_DONE, ev.ACTION_DROPPED),
    "close": (ev.PERIOD_CLOSED,),
    "metric": (ev.METRIC_IMPORTED,),
    "forget": (ev.USER_FORGOTTEN,),
    "prune": (ev.CALLS_PRUNED,),
}
#: Rows of a file that somebody imported, maybe thousands: only where they are asked for.
_MANY = frozenset({"metric"})
_WORDS = {kind: word for word, kinds in DECISIONS.items() for kind in kinds}


@dataclass(frozen=True, slots=True)
class Decision:
    """One of them.

    Attributes:
        id: the event's. at: when (UTC). word: of DECISIONS. app: whose.
        by, reason: "" where nobody said. about: the scope, account, policy or episode.
        before, after: by key; None where there was, or is, nothing.
    """

    id: str
    at: datetime
    word: str
    app: str
    by: str
    about: str
    reason: str
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None


def decisions(events: Iterable[Event], by: str | None = None) -> tuple[Decision, ...]:
    """The decisions among events, in the order of time and then of writing; `by` is the person's name."""
    found = [_decision(event) for event in events if event.kind in _WORDS]
    return tuple(sorted((one for one in found if by is None or one.by == by), key=lambda one: one.at))


def kinds_of(words: Iterable[str]) -> tuple[str, ...]:
    """The kinds of events of some words; for none all of them but imported metrics. KeyError: no such word."""
    asked = tuple(words) or tuple(word for word in DECISIONS if word not in _MANY)
    return tuple(kind for word in asked for kind in DECISIONS[word])


def _decision(event: Event) -> Decision:
    facts = event.facts
    before, after = _table(facts.get("before")), _table(facts.get("after"))
    if after is None:
        after = {key: facts[key] for key in _TOLD.get(event.kind, ()) if facts.get(key)} or None
    said = {key: str(facts[key]) for key in ("by", *_ABOUT, *_REASON) if facts.get(key)}
    about, reason = (next((said[key] for key in keys if key in said), "") for keys in (_ABOUT, _REASON))
    return Decision(event.id, event.at, _WORDS[event.kind], event.app, said.get("by", ""), about, reason, before, after)


#: Where events say what a decision is about, and why: the first of these facts.
_ABOUT, _REASON = ("period", "scope", "episode", "action", "metric"), ("reason", "cause", "note", "source")
#: Facts that say what is after, of events that do not say so themselves.
_TOLD: Mapping[str, tuple[str, ...]] = {
    ev.ANOMALY_LABELLED: ("label",), ev.PERIOD_CLOSED: ("nanos", "scope"), ev.METRIC_IMPORTED: ("date", "covers", "value"),
    ev.ACTION_OPENED: ("title", "owner", "deadline"), ev.ACTION_CHANGED: ("what",), ev.ACTION_DONE: ("credit",),
}  # fmt: skip


def _table(said: Any) -> Mapping[str, Any] | None:
    return said if isinstance(said, Mapping) else None


def differing(one: Decision) -> tuple[tuple[str, Any, Any], ...]:
    """(key, before, after) of what changed, by key."""
    before, after = one.before or {}, one.after or {}
    keys = sorted({*before, *after})
    return tuple((key, before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key))
