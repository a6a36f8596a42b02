"""`runguard anomalies`: spend that stood out, and what people say of it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Annotated, Any

import typer
from rich.console import Console

from runguard_core.anomalies import Change, Gravity, Kind, What, moment
from runguard_core.cli._acting import person
from runguard_core.cli._app import AppOption, Exit, JsonOption, PolicyOption, StoreOption, app, fail, ledger, out, say, show
from runguard_core.cli._reading import since_of
from runguard_core.cli._tables import Column, figure, name, print_table
from runguard_core.cli._text import shown
from runguard_core.finops.owners import CASE_KINDS, Case, CaseState, case_json, cases
from runguard_core.guard import anomaly_event, label_event
from runguard_core.ledger import CallFilter, CallRecord, EventFilter, Store
from runguard_core.money import brief_usd
from runguard_core.policy import Policy
from runguard_core.reports import EpisodeRow, day_of, episode_json, episode_rows, feature_days

#: What looking back needs before the time that is asked for, so that there is something to compare with.
_HISTORY = timedelta(days=42)
_DAYS = 42
_BLOCKS = "▁▂▃▄▅▆▇█"
_COLOURS = {Gravity.MINOR: "yellow", Gravity.MAJOR: "dark_orange", Gravity.CRITICAL: "red"}
KIND_WORDS = {
    Kind.SESSION_SPIKE: "session", Kind.MID_SESSION: "mid-session", Kind.SPEND_RATE: "hour", Kind.DAILY_THRESHOLD: "day",
    Kind.SLOW_DRIFT: "drift", Kind.METER_GAP: "meter gap",
}  # fmt: skip
anomalies_app = typer.Typer(
    help="Show spend that stood out, one line an episode; judge episodes. To act on one: `runguard anomaly`."
)
app.add_typer(anomalies_app, name="anomalies")


@anomalies_app.callback(invoke_without_command=True)
def anomalies_command(
    context: typer.Context,
    since: Annotated[str, typer.Option("--since", help="30d, 24h, or a date such as 2026-11-24.")] = "30d",
    record: Annotated[
        bool, typer.Option("--record", help="File what looking back found, as if it had been announced at its time.")
    ] = False,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show spend that stood out: sessions, hours and days of a feature, drifts, tokens that cost nothing.

    Episodes that a guard announced, and what the same watch finds in the ledger's calls now (marked *).
    To take one in hand or to name its cause: `runguard anomaly ack|resolve`.

    Example: [bold]runguard anomalies --since 7d[/]
    """
    if context.invoked_subcommand is not None:
        return
    with ledger(store, app_name, policy) as (opened, loaded):
        rows, calls = rows_of(opened, loaded, app_name, since_of(since))
        if record:
            record_found(opened, rows, app_of(opened, loaded, app_name))
        lives = {case.id: case for case in cases(opened.events(EventFilter(kinds=CASE_KINDS)))}
        document = {"ledger": opened.url, "episodes": [row_json(row, lives.get(row.filed.episode.id)) for row in rows]}
        show(as_json, document, lambda: print_episodes(out, rows, calls, loaded.rules.zone, lives))


@anomalies_app.command("label")
def label_command(
    episode: Annotated[str, typer.Argument(help="The episode's id, as `runguard anomalies` shows it.")],
    label: Annotated[str, typer.Option("--as", help="planned: known of, stay silent; false: that was normal.")],
    reason: Annotated[str, typer.Option("--reason", "-r", help="Why; recorded with the event.")],
    by: Annotated[str | None, typer.Option("--by", help="Who says so; else the user of this machine.")] = None,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Judge an episode: what is planned is not spoken of again and stays out of the baseline; what is false joins it.

    Example: [bold]runguard anomalies label an-3f2c1b7a9d04 --as planned --by ana --reason "launch week"[/]
    """
    with ledger(store, app_name, policy) as (opened, loaded):
        rows, _ = rows_of(opened, loaded, app_name, None)
        row = next((row for row in rows if row.filed.episode.id == episode), None)
        if row is None:
            raise fail(f"no episode {episode!r} in {opened.url}; see `runguard anomalies`", Exit.FOUND_WRONG)
        named, now = app_of(opened, loaded, app_name), datetime.now(UTC)
        said = label_event(row.filed.episode, label, by or person(), reason, named, now)
        record_found(opened, [row], named)
        opened.announce([said])
        document: dict[str, Any] = {"episode": episode, "label": label, "by": by or person(), "reason": reason}
        show(as_json, document, lambda: say(f"{episode} is {label}."))


def app_of(opened: Store, loaded: Policy, app_name: str | None) -> str:
    """The app that is asked for, or the only one of the ledger, or the policy's."""
    if app_name is not None:
        return app_name
    latest = opened.calls(CallFilter(limit=1))
    return latest[-1].attribution.app if latest else loaded.rules.defaults.app


def rows_of(
    opened: Store, loaded: Policy, app_name: str | None, since: datetime | None
) -> tuple[list[EpisodeRow], tuple[CallRecord, ...]]:
    named, now = app_of(opened, loaded, app_name), datetime.now(UTC)
    start = None if since is None else since - _HISTORY
    calls = opened.calls(CallFilter(app=named, since=start))
    rules = loaded.rules
    rows = episode_rows(named, calls, opened.events(EventFilter(since=start)), rules.anomalies.watch, zone=rules.zone, now=now)
    if since is not None:
        rows = [row for row in rows if (row.filed.episode.ended_at or now.timestamp()) >= since.timestamp()]
    return rows, calls


def record_found(opened: Store, rows: Sequence[EpisodeRow], named: str) -> None:
    """Events of episodes that have none, at the times at which the watch would have announced them."""
    said = []
    for row in rows:
        episode = row.filed.episode
        if not row.is_announced:
            said.append(anomaly_event(Change(What.OPENED, episode, episode.opened_at), named))
            if episode.ended_at is not None:
                said.append(anomaly_event(Change(What.CLOSED, episode, episode.ended_at), named))
    opened.announce(sorted(said, key=lambda event: event.at))


def row_json(row: EpisodeRow, case: Case | None) -> dict[str, Any]:
    """An episode, with what people did with it; None under `case` while it was never announced."""
    return {**episode_json(row), "case": case_json(case) if case is not None else None}


def print_episodes(
    console: Console, rows: Sequence[EpisodeRow], calls: Sequence[CallRecord], zone: tzinfo, lives: Mapping[str, Case]
) -> None:
    """One line an episode; what is to be said of some; then the days of the features concerned."""
    if not rows:
        console.print("Nothing stood out.")
        return
    columns = [
        Column("episode"), Column("began"), Column("lasted", spare=3), name("what"), figure("seen / usual", spare=1),
        Column("times", spare=2), figure("impact"), Column("state"),
    ]  # fmt: skip
    print_table(console, "Spend that stood out, newest first", columns, [_cells(row, zone, lives) for row in rows])
    for row in rows:
        _print_said(console, row, lives.get(row.filed.episode.id))
    if any(not row.is_announced for row in rows):
        console.print("* found by looking back at the calls, not announced at the time (--record files it)", highlight=False)
    _print_days(console, rows, calls, zone)


def said_of(case: Case) -> str:
    """What a case came from, who has it in hand, or what it shows while nobody has; "" for one that went away by itself."""
    if case.state is CaseState.RESOLVED:
        return f"{case.cause} ({case.resolved_by})"
    if case.state is CaseState.ACKNOWLEDGED:
        return f"{case.acknowledged_by} has it in hand{f', {case.note}' if case.note else ''}: {case.episode.evidence}"
    return case.episode.evidence if case.state is CaseState.OPEN else ""


def _print_said(console: Console, row: EpisodeRow, case: Case | None) -> None:
    episode, colours = row.filed.episode, {CaseState.RESOLVED: "green", CaseState.ACKNOWLEDGED: "yellow"}
    said = said_of(case) if case is not None else episode.evidence if row.filed.state == "open" else ""
    if said:
        colour = colours.get(case.state, "red") if case is not None else "red"
        console.print(f"[{colour}]■[/] {shown(episode.id)}: {shown(said)}", highlight=False)


def state_of(row: EpisodeRow, case: Case | None) -> str:
    """What people say of it, else what the watch says."""
    acted = case is not None and case.label is None and case.state in {CaseState.RESOLVED, CaseState.ACKNOWLEDGED}
    return case.state.value if case is not None and acted else row.filed.state


def _cells(row: EpisodeRow, zone: tzinfo, lives: Mapping[str, Case]) -> tuple[str, ...]:
    episode = row.filed.episode
    whose = episode.session or (f"{episode.feature}, {episode.model}" if episode.model else episode.feature)
    said = state_of(row, lives.get(episode.id))
    state = said if row.is_announced else f"{said}*"
    usual = f" / {brief_usd(episode.expected_nanos)}" if episode.expected_nanos else ""
    return (
        episode.id, f"{moment(episode.started_at).astimezone(zone):%m-%d %H:%M}",
        _lasted(episode.started_at, episode.ended_at),
        f"[{_COLOURS[episode.gravity]}]{episode.gravity.value}[/] {KIND_WORDS[episode.kind]} {shown(whose)}",
        brief_usd(episode.seen_nanos) + usual, _ratio_bar(episode.ratio), brief_usd(episode.impact_nanos),
        f"[red]{state}[/]" if said == "open" else state,
    )  # fmt: skip


def _lasted(start: float, end: float | None) -> str:
    if end is None:
        return "goes on"
    minutes = (end - start) / 60
    if minutes < 90:
        return f"{minutes:.0f} min"
    return f"{minutes / 60:.0f} h" if minutes < 48 * 60 else f"{minutes / 1440:.0f} days"


def _ratio_bar(ratio: float) -> str:
    """Seen to expected: a block for each doubling, at most five."""
    if ratio <= 0:
        return ""
    blocks = min(5, max(0, round(math.log2(ratio))))
    return f"{ratio:4.1f} {'█' * blocks}" if ratio < 100 else f"{ratio:4.0f} {'█' * blocks}"


def _print_days(console: Console, rows: Sequence[EpisodeRow], calls: Sequence[CallRecord], zone: tzinfo) -> None:
    """A line of blocks for each feature, its days; those of an episode are marked below."""
    last = day_of(max((call.started_at for call in calls), default=datetime.now(UTC)).timestamp(), zone)
    first = last - timedelta(days=_DAYS - 1)
    console.print(f"\nSpend by day, {first:%m-%d} to {last:%m-%d}; days of an episode are underlined", highlight=False)
    for feature in dict.fromkeys(row.filed.episode.feature for row in rows):
        sums = feature_days(calls, feature, zone, last, _DAYS)
        concerned = [row for row in rows if row.filed.episode.feature == feature]
        marked = {(day_of(at, zone) - first).days for row in concerned for at in _days_of(row)}
        top, usual = max([*sums, 1]), sorted(sums)[len(sums) // 2]
        blocks = "".join(_BLOCKS[min(len(_BLOCKS) - 1, nanos * len(_BLOCKS) // top)] for nanos in sums)
        console.print(
            f"  {blocks}  {shown(feature)}: {brief_usd(usual)} by the median, {brief_usd(max(sums))} at most", highlight=False
        )
        console.print(f"  [red]{''.join('▔' if place in marked else ' ' for place in range(_DAYS))}[/]")


def _days_of(row: EpisodeRow) -> list[float]:
    episode = row.filed.episode
    end = episode.ended_at if episode.ended_at is not None else episode.seen_at
    count = min(int((end - episode.started_at) // 86_400) + 1, 100)
    return [*(episode.started_at + 86_400 * number for number in range(count)), end]
