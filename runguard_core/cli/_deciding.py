"""`runguard kill` and `reset`: a person's decisions, each with a reason and recorded; `--dry-run` says what would change."""

from __future__ import annotations

import shlex
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from runguard_core.attribution import Attribution, feature_of
from runguard_core.breaker import Selector, chosen
from runguard_core.budgets import parse_limit
from runguard_core.cli._acting import guard_on, person
from runguard_core.cli._app import AppOption, Exit, JsonOption, PolicyOption, StoreOption, app, as_kept, fail, ledger, say, show
from runguard_core.cli._reading import since_of
from runguard_core.errors import PolicyError
from runguard_core.guard import Guard
from runguard_core.ledger import CallFilter, EventFilter, Latch, Store, Unit
from runguard_core.reports import latch_json

ReasonOption = Annotated[str, typer.Option("--reason", "-r", help="Why; recorded with the event.")]
ScopeArgument = Annotated[str | None, typer.Argument(help="app, agent:NAME, feature:NAME, session:ID or run:ID.")]
FeatureOption = Annotated[str | None, typer.Option("--feature", callback=as_kept, help="Of this feature.")]
AgentOption = Annotated[str | None, typer.Option("--agent", callback=as_kept, help="Of this agent.")]
RuleOption = Annotated[str | None, typer.Option("--rule", help="What tripped: repeat, cycle, budget, kill, ...")]
ByOption = Annotated[str | None, typer.Option("--by", help="Who decides; default: the user at the keyboard.")]
DryOption = Annotated[bool, typer.Option("--dry-run", help="Only say what would change.")]
_A_DAY = timedelta(days=1)


def ending(text: str | None) -> datetime | None:
    """When something ends: "2h" from now, or an ISO date or time."""
    if text is None:
        return None
    try:
        found = parse_limit(text, key="--until")
        if found.unit is Unit.SECONDS:
            return datetime.now(UTC) + timedelta(milliseconds=found.amount)
    except PolicyError:
        pass
    return since_of(text, "--until")


def _same_place(store: str | None, app_name: str | None, policy: Path | None) -> str:
    """The options that lead to the same ledger and app again."""
    given = {"--store": store, "--app": app_name, "--policy": policy}
    return "".join(f" {option} {shlex.quote(str(value))}" for option, value in given.items() if value is not None)


def said(reason: str) -> str:
    if not reason.strip():
        raise fail("say why: --reason ...", Exit.USAGE)
    return reason


# -- reset ------------------------------------------------------------------------------------------------------------


@app.command("reset")
def reset_command(
    scope: ScopeArgument = None,
    reason: ReasonOption = "",
    feature: FeatureOption = None,
    agent: AgentOption = None,
    rule: RuleOption = None,
    since: Annotated[str | None, typer.Option("--since", help="Stopped since: 24h, or a date (UTC).")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Stopped before: 1h, or a date (UTC).")] = None,
    by: ByOption = None,
    dry_run: DryOption = False,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Let a stopped scope run again, or all that a feature, an agent, a rule and a time select; the reason is recorded.

    Example: [bold]runguard reset --rule repeat --feature search --since 2h --reason "search index is back"[/]
    """
    selector = Selector(feature=feature, agent=agent, rule=rule, since=since_of(since), until=since_of(until, "--until"))
    if (scope is None) == selector.is_empty:
        raise fail("name a scope, or select with --feature, --agent, --rule, --since, --until; not both", Exit.USAGE)
    why = said(reason)
    with ledger(store, app_name, policy) as (opened, loaded):
        guard = guard_on(opened, loaded, app_name)
        if scope is not None:
            _reset_one(guard, scope, why, by or person(), dry_run, as_json)
            return
        found = chosen(opened.latches().values(), selector, lambda latch: _owner(opened, latch))
        for latch in [] if dry_run else found:
            guard.reset(scope_of(latch), reason=why, by=by or person())
        document = {"dry_run": dry_run, "reason": why, "reset": [latch_json(latch) for latch in found]}
        show(as_json, document, lambda: _say_latches(found, "would run again" if dry_run else "may run again"))


def _reset_one(guard: Guard, scope: str, reason: str, by: str, dry_run: bool, as_json: bool) -> None:
    kind, value = guard.scope(scope)
    stopped = (kind, value) in guard.store.latches() if dry_run else guard.reset(scope, reason=reason, by=by)
    document = {"scope": scope, "was_stopped": stopped, "reason": reason, "dry_run": dry_run}
    runs = "would run again" if dry_run else "may run again"
    show(as_json, document, lambda: say(f"{scope} {runs}." if stopped else f"{scope} {'is' if dry_run else 'was'} not stopped."))


def _owner(opened: Store, latch: Latch) -> Attribution | None:
    """Whose run or session a latch stops, by its latest call."""
    named: dict[str, Any] = {latch.scope_kind: latch.scope_id} if latch.scope_kind in {"run", "session"} else {}
    calls = opened.calls(CallFilter(**named, limit=1)) if named else ()
    if not calls:
        return None
    who = calls[-1].attribution
    return who.with_values(feature=feature_of(who))


def scope_of(latch: Latch) -> str:
    return f"{latch.scope_kind}:{latch.scope_id}"


def _say_latches(found: list[Latch], word: str) -> None:
    for latch in found:
        say(f"{scope_of(latch)} {word} (stopped by {latch.rule} since {latch.since:%Y-%m-%d %H:%M}Z)")
    if not found:
        say("Nothing that is stopped matches.")


# -- kill -------------------------------------------------------------------------------------------------------------


@app.command("kill")
def kill_command(
    scope: ScopeArgument = None,
    reason: ReasonOption = "",
    feature: FeatureOption = None,
    agent: AgentOption = None,
    rule: Annotated[str | None, typer.Option("--rule", help="Each session in which this rule spoke: repeat, cycle, ...")] = None,
    since: Annotated[str, typer.Option("--since", help="With --rule: since when it spoke.")] = "24h",
    until: Annotated[str | None, typer.Option("--until", help="For so long (2h), or until a time; else until reset.")] = None,
    by: ByOption = None,
    dry_run: DryOption = False,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Stop a scope until it is reset, or for a time: no further call of it is sent, in any process on this ledger.

    Without a scope, a feature, an agent or a rule it is the whole app.

    Example: [bold]runguard kill agent:planner --until 2h --reason "runaway, see ticket 7"[/]
    """
    why, ends = said(reason), ending(until)
    if scope is not None and (feature, agent, rule) != (None, None, None):
        raise fail("name a scope, or say --feature, --agent or --rule; not both", Exit.USAGE)
    if rule is None and feature is not None and agent is not None:
        raise fail("a stop is of a feature or of an agent; with --rule both select sessions", Exit.USAGE)
    with ledger(store, app_name, policy) as (opened, loaded):
        guard = guard_on(opened, loaded, app_name)
        if rule is not None:
            scopes = _spoken(opened, guard.app, rule, since_of(since) or datetime.now(UTC) - _A_DAY, feature, agent)
        else:
            scopes = [f"feature:{feature}" if feature else f"agent:{agent}" if agent else scope or "app"]
        for one in scopes:
            guard.scope(one)  # nothing is stopped where one of them is none
        for one in [] if dry_run else scopes:
            guard.kill(one, reason=why, by=by or person(), until=ends)
        place = _same_place(store, app_name, policy)
        undo = [f'runguard reset {shlex.quote(one)} --reason "..."{place}' for one in scopes]
        document = {
            "scope": scopes[0] if len(scopes) == 1 else None, "scopes": scopes, "reason": why, "dry_run": dry_run,
            "until": None if ends is None else ends.isoformat(), "undo": undo[0] if len(undo) == 1 else undo,
        }  # fmt: skip
        show(as_json, document, lambda: _say_killed(scopes, undo, ends, dry_run))


def _say_killed(scopes: list[str], undo: list[str], ends: datetime | None, dry_run: bool) -> None:
    time = f" until {ends:%Y-%m-%d %H:%M}Z" if ends is not None else ""
    for one, way in zip(scopes, undo, strict=True):
        say(f"{one} would be stopped{time}." if dry_run else f"{one} is stopped{time}. Undo: {way}")
    if not scopes:
        say("No session matches.")


def _spoken(opened: Store, app_name: str, rule: str, since: datetime, feature: str | None, agent: str | None) -> list[str]:
    """The sessions (runs, where none was named) in which a rule spoke."""
    found: dict[str, None] = {}
    for event in opened.events(EventFilter(app=app_name, since=since)):
        of = (feature is None or (event.feature or event.app) == feature) and (agent is None or event.agent == agent)
        if event.facts.get("rule") == rule and of and (event.session or event.run):
            found[f"session:{event.session}" if event.session else f"run:{event.run}"] = None
    return list(found)
