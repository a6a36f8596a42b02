"""`runguard audit`: who changed what."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, tzinfo
from typing import Annotated, Any

import typer
from rich.table import Table

from runguard_core.cli._app import AppOption, Exit, JsonOption, PolicyOption, StoreOption, app, fail, ledger, out, say, show
from runguard_core.cli._reading import SinceOption, since_of
from runguard_core.cli._text import shown
from runguard_core.finops.why import DECISIONS, Decision, decisions, differing, kinds_of
from runguard_core.ledger import EventFilter
from runguard_core.money import format_usd

_MOST_CHANGES = 6
_MOST_CHARS = 60


@app.command("audit")
def audit_command(
    since: SinceOption = None,
    until: Annotated[str | None, typer.Option("--until", help="Before this: 24h, or a date (UTC).")] = None,
    by: Annotated[str | None, typer.Option("--by", help="Only what this person did.")] = None,
    kind: Annotated[list[str] | None, typer.Option("--kind", help=f"{', '.join(DECISIONS)}; may be given again.")] = None,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List who changed what, when and why, from what to what: policies, kills, resets, limits, forgotten users.

    Example: [bold]runguard audit --since 30d --kind raise --kind policy[/]
    """
    with ledger(store, app_name, policy) as (opened, loaded):
        unknown = set(kind or ()) - DECISIONS.keys()
        if unknown:
            raise fail(f"--kind: expected one of {', '.join(DECISIONS)}, got {min(unknown)!r}", Exit.USAGE)
        where = EventFilter(app=app_name, kinds=kinds_of(kind or ()), since=since_of(since), until=since_of(until, "--until"))
        found = decisions(opened.events(where), by)
        document = {"ledger": opened.url, "decisions": [_json(one) for one in found]}
        show(as_json, document, lambda: _print(found, loaded.rules.zone) if found else say("Nobody changed anything."))


def _print(found: Sequence[Decision], zone: tzinfo) -> None:
    table = Table(box=None, pad_edge=False)
    for name in ("when", "who", "what", "about", "why, and what changed"):
        table.add_column(name, overflow="fold", no_wrap=name == "when")
    for one in found:
        changes = _changes(one)
        more = len(changes) - _MOST_CHANGES
        lines = [shown(one.reason)] * bool(one.reason) + changes[:_MOST_CHANGES] + [f"... and {more} more"] * (more > 0)
        at = f"{one.at.astimezone(zone):%Y-%m-%d %H:%M}"
        table.add_row(at, shown(one.by or "-"), one.word, shown(one.about), "\n".join(lines))
    out.print(table)


def _changes(one: Decision) -> list[str]:
    """What changed, a line a key; a stop that came or went is one line."""
    stop = one.before if one.after is None else one.after if one.before is None else None
    if stop is not None and "state" in stop:
        word = "was stopped" if one.after is None else "stopped"
        until = f" until {_short(stop['until'])}" if stop["until"] else ""
        return [f"[dim]{word} by {shown(str(stop['rule']))}{until}[/]"] + [shown(str(stop["reason"]))] * (one.after is None)
    return [_change(*change) for change in differing(one) if change[0] != "by" and not change[0].endswith("_amount")]


def _change(key: str, before: Any, after: Any) -> str:
    return f"[dim]{shown(key)}:[/] {_value(key, before)} -> {_value(key, after)}"


def _value(key: str, value: Any) -> str:
    if value is None:
        return "-"
    if key.endswith("nanos"):
        return format_usd(int(value))
    if key == "until":
        return _short(value)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return shown(text if len(text) <= _MOST_CHARS else f"{text[:_MOST_CHARS]}...")


def _short(at: Any) -> str:
    return f"{datetime.fromisoformat(str(at)):%Y-%m-%d %H:%M}Z"


def _json(one: Decision) -> dict[str, Any]:
    return {
        "id": one.id, "at": one.at.isoformat(), "what": one.word, "app": one.app, "by": one.by, "about": one.about,
        "reason": one.reason, "before": _plain(one.before), "after": _plain(one.after),
    }  # fmt: skip


def _plain(table: Mapping[str, Any] | None) -> dict[str, Any] | None:
    return None if table is None else dict(table)
