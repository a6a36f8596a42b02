"""`runguard blame`: which release raised the cost of a session, and by which part of the prompt."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Annotated, Any

import typer
from rich.table import Table

from runguard_core.cli._app import (
    AppOption,
    Exit,
    JsonOption,
    PolicyOption,
    StoreOption,
    app,
    as_kept,
    fail,
    ledger,
    out,
    say,
    show,
)
from runguard_core.cli._bars import bar
from runguard_core.cli._reading import since_of
from runguard_core.cli._text import counted, shown
from runguard_core.cli._why_render import signed
from runguard_core.finops import Moments
from runguard_core.finops.why import LEAST_SESSIONS, Blamed, Interval, Release, Verdict, culprit
from runguard_core.ledger import CallFilter, Store
from runguard_core.money import format_usd

_MOST_PARTS = 12


@app.command("blame")
def blame_command(
    feature: Annotated[str, typer.Option("--feature", callback=as_kept, help="Whose sessions.")],
    since: Annotated[str, typer.Option("--since", help="56d, or a date such as 2026-09-01 (UTC).")] = "56d",
    by: Annotated[str, typer.Option("--by", help="What names a release: release, or the key of a tag.")] = "release",
    release: Annotated[str | None, typer.Option("--release", callback=as_kept, help="Show the parts of this one.")] = None,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Name the release that raised a feature's cost per session, and the part of the prompt that did it.

    Each release is compared with the one before it, with a 95 % interval; too few sessions are said to be too few.

    Example: [bold]runguard blame --feature search --since 30d[/]
    """
    with ledger(store, app_name, policy) as (opened, loaded):
        start = since_of(since) or datetime.now(UTC)
        found = _blamed(opened, Blamed(feature, by), app_name, start, datetime.now(UTC))
        releases = found.releases()
        if not releases:
            calls = f"{counted(found.unnamed_count, 'call')} of {feature} since {start:%Y-%m-%d}, none names a {by}"
            raise fail(f"{calls}: set `release` in the policy, or in guard.session(release=...)", Exit.FOUND_WRONG)
        chosen = _chosen(releases, release)
        document = {
            "ledger": opened.url, "feature": feature, "by": by, "since": start.isoformat(),
            "unnamed_call_count": found.unnamed_count,
            "culprit": None if (worst := culprit(releases)) is None else worst.name,
            "releases": [_release_json(one) for one in releases],
        }  # fmt: skip

        def text() -> None:
            _print_releases(feature, releases, loaded.rules.zone)
            _print_parts(chosen)
            if found.unnamed_count:
                say(f"{counted(found.unnamed_count, 'call')} of {feature} named no {by} and are in none of them.")

        show(as_json, document, text)


def _blamed(opened: Store, found: Blamed, app_name: str | None, start: datetime, end: datetime) -> Blamed:
    """Day by day, so that a long time needs no more memory than a short one."""
    step, at = timedelta(days=1), start
    with bar("days", (end - start) // step + 1) as further:
        while at < end:
            found.add(opened.calls(CallFilter(app=app_name, since=at, until=min(at + step, end))))
            at += step
            further(1)
    return found


def _chosen(releases: Sequence[Release], name: str | None) -> Release:
    """The one asked for, else the culprit, else the latest."""
    if name is None:
        return culprit(releases) or releases[-1]
    for one in releases:
        if one.name == name:
            return one
    raise fail(f"no session began under release {name!r}; there are: {', '.join(one.name for one in releases)}", Exit.USAGE)


def _print_releases(feature: str, releases: Sequence[Release], zone: tzinfo) -> None:
    table = Table(title=f"Cost per session of {shown(feature)} by release", title_justify="left", box=None, pad_edge=False)
    table.add_column("release", overflow="fold")
    table.add_column("first seen")
    for name in ("sessions", "a session", "change", "95 % interval"):
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("")
    colours = {Verdict.RAISED: "red", Verdict.LOWERED: "green"}
    for one in releases:
        change, interval = ("", "") if one.change is None else (signed(one.change.nanos), _interval(one.change))
        verdict = f"[{colours.get(one.verdict, 'dim')}]{one.verdict.value}[/]"
        seen, cost = f"{one.since.astimezone(zone):%Y-%m-%d %H:%M}", format_usd(round(one.cost.mean))
        table.add_row(shown(one.name), seen, f"{one.cost.count:,}", cost, change, interval, verdict)
    out.print(table)
    if any(one.verdict is Verdict.TOO_FEW for one in releases):
        say(f"A difference needs {LEAST_SESSIONS} sessions of both releases.")


def _print_parts(one: Release) -> None:
    if one.change is None:
        return
    said = {Verdict.RAISED: "raised", Verdict.LOWERED: "lowered"}.get(one.verdict, "did not surely change")
    title = f"\n{shown(one.name)} {said} cost per session against {shown(one.before or '')}: {signed(one.change.nanos)}, by part"
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    table.add_column("part", overflow="fold")
    for name in ("before", "after", "change", "95 % interval"):
        table.add_column(name, justify="right", no_wrap=True)
    for part in one.parts[:_MOST_PARTS]:
        means = [format_usd(round(side.mean)) for side in (part.before, part.after)]
        change = signed(part.change.nanos)
        table.add_row(shown(part.part), *means, f"[bold]{change}[/]" if part.change.is_sure else change, _interval(part.change))
    out.print(table)
    if len(one.parts) > _MOST_PARTS:
        say(f"... and {len(one.parts) - _MOST_PARTS} more; --json has them all.")
    if one.split_count:
        say(f"{counted(one.split_count, 'session')} went on under another release; they count where they began.")


def _interval(change: Interval) -> str:
    return f"{signed(change.low)} to {signed(change.high)}"


def _release_json(one: Release) -> dict[str, Any]:
    parts = [
        {
            "part": part.part, "before_nanos_per_session": str(round(part.before.mean)),
            "after_nanos_per_session": str(round(part.after.mean)), "change": _interval_json(part.change),
        }
        for part in one.parts
    ]  # fmt: skip
    return {
        "release": one.name, "since": one.since.isoformat(), **_moments_json(one.cost), "split_session_count": one.split_count,
        "verdict": one.verdict.value, "before": one.before, "change": _interval_json(one.change), "parts": parts,
    }  # fmt: skip


def _moments_json(cost: Moments) -> dict[str, Any]:
    return {"session_count": cost.count, "nanos": str(cost.nanos), "nanos_per_session": str(round(cost.mean))}


def _interval_json(change: Interval | None) -> dict[str, str | bool] | None:
    if change is None:
        return None
    return {
        "nanos": str(change.nanos), "low_nanos": str(change.low), "high_nanos": str(change.high), "is_sure": change.is_sure,
    }  # fmt: skip
