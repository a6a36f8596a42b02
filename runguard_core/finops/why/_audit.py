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
    "forget": (ev.USER_FORGOTTEN,),
    "prune": (ev.CALLS_PRUNED,),
}
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
    """The kinds of events of some words, all of them for none. KeyError: no such word."""
    return tuple(kind for word in (tuple(words) or DECISIONS) for kind in DECISIONS[word])


def _decision(event: Event) -> Decision:
    facts = event.facts
    before, after = facts.get("before"), facts.get("after")
    if event.kind == ev.ANOMALY_LABELLED:
        after = {"label": facts.get("label")}
    about = str(facts.get("scope") or facts.get("episode") or "")
    return Decision(
        event.id, event.at, _WORDS[event.kind], event.app, str(facts.get("by") or ""), about, str(facts.get("reason") or ""),
        _table(before), _table(after),
    )  # fmt: skip


def _table(said: Any) -> Mapping[str, Any] | None:
    return said if isinstance(said, Mapping) else None


def differing(one: Decision) -> tuple[tuple[str, Any, Any], ...]:
    """(key, before, after) of what changed, by key."""
    before, after = one.before or {}, one.after or {}
    keys = sorted({*before, *after})
    return tuple((key, before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key))
