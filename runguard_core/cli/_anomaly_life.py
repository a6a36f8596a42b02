"""`runguard anomaly ack|resolve|list`: what people do with an anomaly, from its announcement to its cause."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Annotated

import typer
from rich.console import Console

from runguard_core.anomalies import moment
from runguard_core.cli._acting import person
from runguard_core.cli._anomalies import KIND_WORDS, app_of, record_found, rows_of, said_of
from runguard_core.cli._app import AppOption, Exit, JsonOption, PolicyOption, StoreOption, app, fail, ledger, out, say, show
from runguard_core.cli._reading import since_of
from runguard_core.cli._tables import Column, figure, name, print_table
from runguard_core.cli._text import shown
from runguard_core.finops.owners import CASE_KINDS, Case, CaseState, acknowledged_event, case_json, cases, resolved_event
from runguard_core.ledger import Event, EventFilter, Store
from runguard_core.money import brief_usd
from runguard_core.policy import Policy

anomaly_app = typer.Typer(
    help="Act on one anomaly: take it in hand, name its cause. `runguard anomalies` shows what stood out.", no_args_is_help=True
)
app.add_typer(anomaly_app, name="anomaly")
_COLOURS = {CaseState.OPEN: "red", CaseState.ACKNOWLEDGED: "yellow", CaseState.RESOLVED: "green", CaseState.CLOSED: "dim"}

EpisodeArgument = Annotated[str, typer.Argument(help="The episode's id, as `runguard anomalies` shows it.")]
ByOption = Annotated[str | None, typer.Option("--by", help="Who does it; else the user of this machine.")]


@anomaly_app.command("ack")
def acknowledge_command(
    episode: EpisodeArgument,
    note: Annotated[str, typer.Option("--note", "-n", help="What you are going to do.")] = "",
    by: ByOption = None,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take an anomaly in hand: it is said who has it, and nobody else is called for it.

    Example: [bold]runguard anomaly ack an-3f2c1b7a9d04 --by ana --note "rolling back the prompt"[/]
    """
    who = by or person()
    with ledger(store, app_name, policy) as (opened, loaded):
        case = _case(opened, loaded, app_name, episode)
        case = _file(opened, loaded, app_name, episode, acknowledged_event(case, who, note, datetime.now(UTC)))
        show(as_json, case_json(case), lambda: say(f"{episode} is in {who}'s hands, {_spoken(case.acknowledge_seconds)}."))


@anomaly_app.command("resolve")
def resolve_command(
    episode: EpisodeArgument,
    cause: Annotated[str, typer.Option("--cause", "-c", help="What it came from; the weekly review lists it.")],
    by: ByOption = None,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say that an anomaly is dealt with, and what caused it. One that gets worse afterwards is open again.

    Example: [bold]runguard anomaly resolve an-3f2c1b7a9d04 --cause "tool retried on empty result" --by ana[/]
    """
    who = by or person()
    with ledger(store, app_name, policy) as (opened, loaded):
        case = _case(opened, loaded, app_name, episode)
        case = _file(opened, loaded, app_name, episode, resolved_event(case, who, cause, datetime.now(UTC)))
        show(as_json, case_json(case), lambda: say(f"{episode} is resolved, {_spoken(case.resolve_seconds)}: {cause}"))


@anomaly_app.command("list")
def list_command(
    since: Annotated[str, typer.Option("--since", help="30d, 24h, or a date such as 2026-11-24.")] = "30d",
    state: Annotated[CaseState | None, typer.Option("--state", help="Only those that stand so.")] = None,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List announced anomalies with who has them, their causes, and how long each step took.

    Example: [bold]runguard anomaly list --state open[/]
    """
    with ledger(store, app_name, policy) as (opened, loaded):
        start = since_of(since) or datetime.min.replace(tzinfo=UTC)
        found = [
            case
            for case in cases(opened.events(EventFilter(app=app_name, kinds=CASE_KINDS)))
            if (case.episode.ended_at is None or moment(case.episode.ended_at) >= start) and state in {None, case.state}
        ]
        document = {"ledger": opened.url, "cases": [case_json(case) for case in found]}
        show(as_json, document, lambda: print_cases(out, found, loaded.rules.zone))


def _case(opened: Store, loaded: Policy, app_name: str | None, episode: str) -> Case:
    """The case of an episode; one that only looking back finds is filed first."""
    found = _filed(opened, app_name, episode)
    if found is None:
        rows, _ = rows_of(opened, loaded, app_name, None)
        record_found(opened, [row for row in rows if row.filed.episode.id == episode], app_of(opened, loaded, app_name))
        found = _filed(opened, app_name, episode)
    if found is None:
        raise fail(f"no episode {episode!r} in {opened.url}; see `runguard anomalies`", Exit.FOUND_WRONG)
    return found


def _filed(opened: Store, app_name: str | None, episode: str) -> Case | None:
    found = cases(opened.events(EventFilter(app=app_name, kinds=CASE_KINDS)))
    return next((case for case in found if case.id == episode), None)


def _file(opened: Store, loaded: Policy, app_name: str | None, episode: str, act: Event) -> Case:
    """File an act; where somebody was first by a moment, say who."""
    is_first = opened.announce([act]) == 1
    case = _case(opened, loaded, app_name, episode)
    if not is_first:
        raise fail(f"{case.resolved_by or case.acknowledged_by} was first: {episode} is {case.state}", Exit.FOUND_WRONG)
    return case


def print_cases(console: Console, found: Sequence[Case], zone: tzinfo) -> None:
    """One line a case; then the times of all of them."""
    if not found:
        console.print("No anomaly was announced.")
        return
    columns = [
        Column("episode"), Column("began"), name("what"), figure("impact"), Column("state"), figure("detected"),
        figure("in hand", spare=1), figure("resolved", spare=1),
    ]  # fmt: skip
    print_table(console, "Anomalies and what became of them", columns, [_cells(case, zone) for case in found])
    for case in found:
        if said := said_of(case):
            console.print(f"[{_COLOURS[case.state]}]■[/] {shown(case.id)}: {shown(said)}", highlight=False)
    console.print(_sums(found), highlight=False)


def _sums(found: Sequence[Case]) -> str:
    waiting = sum(case.state is CaseState.OPEN for case in found)
    named = sum(case.state is CaseState.RESOLVED for case in found)
    steps = {
        "announced after": [case.detect_seconds for case in found],
        "taken in hand after": _times(found, lambda case: case.acknowledge_seconds),
        "resolved after": _times(found, lambda case: case.resolve_seconds),
    }
    said = ", ".join(f"{what} {_span(_median(values))}" for what, values in steps.items() if values)
    return f"{len(found):,} in all, {named} with a cause, {waiting} open and in nobody's hands. By the median {said}."


def _cells(case: Case, zone: tzinfo) -> tuple[str, ...]:
    one = case.episode
    what = f"{one.gravity.value} {KIND_WORDS[one.kind]} {shown(one.session or one.feature)}"
    return (
        one.id, f"{moment(one.started_at).astimezone(zone):%m-%d %H:%M}", what, brief_usd(one.impact_nanos),
        f"[{_COLOURS[case.state]}]{case.state.value}[/]",
        _span(case.detect_seconds), _span(case.acknowledge_seconds), _span(case.resolve_seconds),
    )  # fmt: skip


def _times(found: Sequence[Case], of: Callable[[Case], float | None]) -> list[float]:
    return [seconds for case in found if (seconds := of(case)) is not None]


def _median(values: Sequence[float]) -> float | None:
    ordered = sorted(values)
    return ordered[(len(ordered) - 1) // 2] if ordered else None


def _span(seconds: float | None) -> str:
    """A time to read: seconds, minutes, hours, days."""
    if seconds is None:
        return "-"
    for limit, size, unit in ((120, 1, "s"), (5400, 60, "min"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds / 86_400:.0f} days"


def _spoken(seconds: float | None) -> str:
    return f"{_span(seconds)} after it was announced"
