"""What the guard announces, as notices to the owner: trips, anomalies, budgets, kills. The same events give the same notices."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from runguard_core import events as ev
from runguard_core.alerts._routing import Source
from runguard_core.finops.owners import Notice, Registry, Step, Urgency
from runguard_core.ledger import Event

#: What may stand in `[alerts] on`, and the kinds of events that it means.
TOPICS: dict[str, frozenset[str]] = {
    "trips": frozenset({ev.RUN_TRIPPED}),
    "anomalies": frozenset({ev.ANOMALY_OPENED, ev.ANOMALY_WORSE, ev.ANOMALY_CLOSED}),
    "budgets": frozenset({ev.CALL_REFUSED, ev.BUDGET_THRESHOLD}),
    "kills": frozenset({ev.KILLED, ev.RESET}),
}
#: The `to` of a notice that nobody is named for: it goes to the default channels.
UNOWNED = "nobody"
_GRAVITY = {"minor": Urgency.WARNING, "major": Urgency.ERROR, "critical": Urgency.CRITICAL}


def events_source(registry: Registry, topics: Iterable[str]) -> Source:
    """Notices to the owner (else the deputy, else the lead) of the feature or agent, of the topics of `[alerts] on`."""
    kinds = frozenset().union(*(TOPICS[topic] for topic in topics))

    def notices(events: Sequence[Event], now: datetime) -> Iterable[Notice]:  # noqa: ARG001  other sources look at the time
        found: dict[str, Notice] = {}
        for event in events:
            notice = _notice(event, registry)
            found.setdefault(notice.id, notice)  # of those that are one, the first is said
        return found.values()

    return Source(kinds=kinds, notices=notices)


def _notice(event: Event, registry: Registry) -> Notice:
    said = _SAID[event.kind](event)
    duty = registry.duty(event.feature, event.agent)
    to = duty.owner or duty.deputy or duty.lead
    text = [event.message, said["hint"], *([] if to else ["Nobody owns it: name an owner in the policy."])]
    facts = {key: value for key, value in event.facts.items() if not isinstance(value, (dict, list))}
    return Notice(
        about=said["about"], to=to or UNOWNED, level="owner", step=said.get("step", Step.TRIGGER), urgency=said["urgency"],
        at=event.at, title=f"{event.feature or event.app}: {said['title']}"[:150], text="\n".join(filter(None, text)),
        app=event.app, feature=event.feature, agent=event.agent, team=duty.team, session=event.session,
        facts={**facts, **({"runbook": duty.runbook} if duty.runbook else {})}, number=said.get("number", 0),
    )  # fmt: skip


def _hour(event: Event) -> str:
    """Of what happens again and again, the first of an hour is said."""
    return f"{event.at:%Y-%m-%dT%H}"


def _trip(event: Event) -> dict[str, Any]:
    rule, agent = event.facts.get("rule", "?"), event.agent or ""
    who = f"agent {agent}" if agent else "a run"
    hint = f"More stops by this rule within the hour are not sent one by one: runguard trips --app {event.app}."
    if event.session:
        hint = f"See: runguard explain {event.session}\n{hint}"
    about = f"trip:{event.feature}:{agent}:{rule}:{_hour(event)}"
    return {"about": about, "urgency": Urgency.ERROR, "title": f"{who} was stopped by rule {rule}", "hint": hint}


def _anomaly(event: Event) -> dict[str, Any]:
    words = {
        ev.ANOMALY_OPENED: "spend stands out", ev.ANOMALY_WORSE: "spend is getting worse", ev.ANOMALY_CLOSED: "spend is back",
    }  # fmt: skip
    is_over = event.kind == ev.ANOMALY_CLOSED
    return {
        "about": str(event.facts.get("episode", event.id)), "step": Step.RESOLVE if is_over else Step.TRIGGER,
        "urgency": Urgency.INFO if is_over else _GRAVITY.get(str(event.facts.get("severity")), Urgency.WARNING),
        "title": f"{words[event.kind]} ({str(event.facts.get('kind', 'anomaly')).replace('_', ' ')})",
        "hint": "See: runguard anomalies", "number": int(event.facts.get("update_count", 0)),
    }  # fmt: skip


def _refusal(event: Event) -> dict[str, Any]:
    budget = event.facts.get("budget", "?")
    hint = "More refusals by this budget within the hour are not sent one by one: runguard budget."
    return {
        "about": f"budget:{event.feature}:{budget}:refused:{_hour(event)}", "urgency": Urgency.ERROR,
        "title": f"budget {budget} refuses calls", "hint": hint,
    }  # fmt: skip


def _threshold(event: Event) -> dict[str, Any]:
    budget, share = event.facts.get("budget", "?"), str(event.facts.get("share", "?"))
    return {
        "about": f"budget:{event.feature}:{budget}:{share}:{_hour(event)}", "urgency": Urgency.WARNING,
        "title": f"budget {budget} has passed {_percent(share)}", "hint": "See: runguard budget",
    }  # fmt: skip


def _kill(event: Event) -> dict[str, Any]:
    scope = event.facts.get("scope")
    hint = f'Undo: runguard reset {scope} --reason "..."' if scope else ""
    by = f" by {event.facts['by']}" if event.facts.get("by") else ""
    return {"about": f"kill:{event.id}", "urgency": Urgency.CRITICAL, "title": f"a person's stop{by}", "hint": hint}


def _reset(event: Event) -> dict[str, Any]:
    return {
        "about": f"reset:{event.id}",
        "step": Step.REPORT,
        "urgency": Urgency.INFO,
        "title": "allowed to run again",
        "hint": "",
    }


def _percent(share: str) -> str:
    try:
        return f"{float(share):.0%}"
    except ValueError:
        return share


_SAID: dict[str, Callable[[Event], dict[str, Any]]] = {
    ev.RUN_TRIPPED: _trip, ev.ANOMALY_OPENED: _anomaly, ev.ANOMALY_WORSE: _anomaly, ev.ANOMALY_CLOSED: _anomaly,
    ev.CALL_REFUSED: _refusal, ev.BUDGET_THRESHOLD: _threshold, ev.KILLED: _kill, ev.RESET: _reset,
}  # fmt: skip
