"""Actions and savings as text."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta

from rich.console import Console

from runguard_core.cli._tables import figure, name, print_table
from runguard_core.cli._text import counted, shown
from runguard_core.finops import Calendar
from runguard_core.finops.actions import Action, ActionState, Claim, Saving, Win
from runguard_core.money import format_usd


def print_actions(console: Console, rows: Sequence[Action], today: date) -> None:
    """One line an action; what is overdue in red, what is to be checked in yellow."""
    if not rows:
        console.print("No actions.")
        return
    columns = [name("action"), name("about"), name("to do"), name("owner"), name("due"), name("state")]
    print_table(console, "Actions by deadline", columns, [_cells(action, today) for action in rows])


def _cells(action: Action, today: date) -> tuple[str, ...]:
    state = action.state.value
    if action.is_overdue(today):
        state = f"[red]{counted((today - action.deadline).days, 'day')} overdue[/]"
    elif action.check_is_due(today):
        state = f"[yellow]check it: mid-point {action.check_on}[/]"
    elif action.is_open and action.check_on and action.checked_at is None:
        state = f"open, check on {action.check_on}"
    elif action.state is ActionState.DONE and action.shipped_at is not None:
        state = f"[green]done[/], shipped {action.shipped_at:%Y-%m-%d}"
    return (action.id, shown(action.subject), shown(action.title), shown(action.owner), f"{action.deadline}", state)


def print_wins(console: Console, rows: Sequence[Win], calendar: Calendar) -> None:
    """One line an action that is done; of a single one what was compared."""
    if not rows:
        console.print("No action is done yet: runguard actions done ID --shipped DATE")
        return
    columns = [
        name("action"), name("what"), name("credit"), figure("cost per session", 1), figure("saved"), figure("90 % interval")
    ]  # fmt: skip
    print_table(console, "What actions saved", columns, [_win_cells(win) for win in rows])
    for win in rows:
        _print_method(console, win, calendar)


def _win_cells(win: Win) -> tuple[str, ...]:
    saving, action = win.saving, win.action
    count = saving.session_count
    each = f"{format_usd(saving.expected_nanos // count)} to {format_usd(saving.actual_nanos // count)}" if count else ""
    saved = "?" if saving.saved_nanos is None else f"[{'green' if saving.is_clear else 'yellow'}]{_saved(saving)}[/]"
    title = shown(f"{action.title} ({action.subject})")
    return (action.id, title, shown(action.credit or action.owner), each, saved, _interval(saving))


def _saved(saving: Saving) -> str:
    share = "" if saving.saved_ratio is None else f" ({saving.saved_ratio:.0%})"
    return f"{_usd(saving.saved_nanos or 0)}{share}"


def _interval(saving: Saving) -> str:
    if saving.low_nanos is None or saving.high_nanos is None:
        return "none"
    return f"{_usd(saving.low_nanos)} to {_usd(saving.high_nanos)}"


def _usd(nanos: int) -> str:
    """To the cent: a measured saving is no sum of a book."""
    return format_usd(round(nanos, -7)) if abs(nanos) >= 10**7 else format_usd(nanos)


def _print_method(console: Console, win: Win, calendar: Calendar) -> None:
    saving, spans = win.saving, win.saving.spans
    if saving.saved_nanos is None:
        console.print(f"[yellow]{win.action.id}[/]: not measured: {shown(saving.why_not)}", highlight=False)
        return
    note = "" if saving.is_clear else "; may be chance: the interval holds zero" if saving.low_nanos is not None else ""
    note = f"; {saving.why_not}" if saving.why_not else note
    cut = f", cut short by {', '.join(spans.neighbours)}" if spans.neighbours else ""
    console.print(
        f"[dim]{win.action.id}: {_dates(spans.before_start, spans.before_end, calendar)} against "
        f"{_dates(spans.after_start, spans.after_end, calendar)}{cut}: {counted(saving.session_count, 'session')} would have "
        f"cost {_usd(saving.expected_nanos)} and cost {_usd(saving.actual_nanos)}{note}.[/]",
        highlight=False,
    )


def _dates(start: datetime, end: datetime, calendar: Calendar) -> str:
    last = end - timedelta(microseconds=1) if end > start else end
    return f"{calendar.date_of(start)} to {calendar.date_of(last)}"


def print_claim(console: Console, found: Claim, calendar: Calendar) -> None:
    """Feature by feature, then the verdict."""
    saving = found.saving
    if saving.strata:
        columns = [
            name("feature"),
            figure("sessions at first", 1),
            figure("now", 1),
            figure("per session at first"),
            figure("now"),
            figure("change"),
        ]
        cells = []
        for it in saving.strata:
            old, new = round(it.before.mean), round(it.after.mean)
            change = f"{new / old - 1:+.0%}" if old else ""
            cells.append(
                (shown(it.feature), f"{it.before.count:,}", f"{it.after.count:,}", format_usd(old), format_usd(new), change)
            )
        spans = saving.spans
        title = (
            f"{_dates(spans.before_start, spans.before_end, calendar)} and {_dates(spans.after_start, spans.after_end, calendar)}"
        )
        print_table(console, title, columns, cells)
        console.print(
            f"Spend went from {format_usd(found.first_nanos)} to {format_usd(found.latest_nanos)}, traffic included. At the "
            f"first weeks' cost per session the latest would have cost {_usd(saving.expected_nanos)}, saved {_saved(saving)}, "
            f"90 % interval {_interval(saving)}.",
            highlight=False,
        )
    console.print(shown(found.verdict[:1].upper() + found.verdict[1:]) + ".", highlight=False)
