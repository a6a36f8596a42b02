"""How commands of statements find a month, read its statements, and write them in a format."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Any

import typer

from runguard_core.cli._app import Exit, fail, write_file
from runguard_core.cli._text import json_text
from runguard_core.errors import PolicyError
from runguard_core.events import CALL_REFUSED, PERIOD_CLOSED, WOULD_REFUSE
from runguard_core.finops import Calendar, Window
from runguard_core.finops.chargeback import (
    PartyKind,
    PeriodStatements,
    TeamLimit,
    period_statements,
    read_closings,
    scopes_of,
    team_limit,
)
from runguard_core.ledger import EventFilter, Store
from runguard_core.policy import Policy, charging_rules


class Format(StrEnum):
    """How a statement is written."""

    TEXT = "text"
    MARKDOWN = "markdown"
    CSV = "csv"
    JSON = "json"


def window_of(calendar: Calendar, period: str | None, at: str | None) -> Window | None:
    """The month that was asked for; None: none was."""
    if period is not None and at is not None:
        raise PolicyError(key="--at", expected="say either --period or --at")
    if period is not None and not re.fullmatch(r"\d{4}-(0[1-9]|1[0-2])", period):
        raise PolicyError(key="--period", expected=f"expected a month such as 2026-10, got {period!r:.80}")
    try:
        if period is not None:
            return calendar.month(date.fromisoformat(f"{period}-01"))
        return None if at is None else calendar.month(date.fromisoformat(at))
    except (ValueError, OverflowError):
        raise PolicyError(key="--period, --at", expected=f"expected 2026-10 or 2026-10-17, got {period or at!r:.80}") from None


def read_period(
    opened: Store, loaded: Policy, window: Window, app_name: str | None
) -> tuple[PeriodStatements, dict[str, TeamLimit]]:
    """The statements, and teams' budgets by team."""
    it = period_statements(opened, window, app_name, charging_rules(loaded.content, window.name), read_closings(opened, app_name))
    where = EventFilter(kinds=(CALL_REFUSED, WOULD_REFUSE), app=app_name, since=window.start, until=window.end)
    stops, rules = opened.events(where), loaded.rules
    teams = [row for row in it.statements if row.party.kind is PartyKind.TEAM]
    return it, {row.party.name: team_limit(row, it.rules.mode, rules.budgets, rules.mode, stops) for row in teams}


def refuse_overlap(opened: Store, window: Window, app_name: str | None) -> None:
    """A month is closed app by app or for all apps together, not both: the same call would be charged twice."""
    others = [it for it in scopes_of(opened.events(EventFilter(kinds=(PERIOD_CLOSED,))), window.name) if it != app_name]
    if others and (app_name is None or None in others):
        names = ", ".join(it or "all apps together" for it in others)
        raise fail(
            f"{window.name} is closed for {names} already: closed again its calls would be charged twice", Exit.FOUND_WRONG
        )


def put(
    as_json: bool, format_: Format, output: Path | None, document: dict[str, Any], text: Callable[[], None],
    csv_text: Callable[[], str], markdown: Callable[[], str],
) -> None:  # fmt: skip
    """In the format that was asked for, to the terminal or a file; a file of text is Markdown."""
    chosen = Format.JSON if as_json else format_
    if chosen is Format.TEXT and output is None:
        text()
        return
    made = {Format.JSON: lambda: json_text(document) + "\n", Format.CSV: csv_text}.get(chosen, markdown)()
    if output is not None:
        write_file(output, made)
    else:
        typer.echo(made, nl=False)
