"""Statements as Markdown and as CSV, for whoever has no terminal."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence

from runguard_core.finops.chargeback._limits import TeamLimit
from runguard_core.finops.chargeback._period import PeriodStatements
from runguard_core.finops.chargeback._statement import Line, LineKind, Statement
from runguard_core.money import format_usd, usd_text

CSV_COLUMNS = (
    "period", "state", "mode", "party_kind", "party", "line_kind", "line", "nanos", "usd", "unsure_nanos", "call_count",
    "token_count", "ratio",
)  # fmt: skip
#: A spreadsheet takes a cell that begins with one of these for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def title_of(line: Line) -> str:
    """What a line is, in words."""
    if line.kind is LineKind.RESIDUAL:
        return "share of unattributed spend" if line.basis is not None else "charged to teams that do not tag"
    return {
        LineKind.DIRECT: line.name, LineKind.SHARED: f"shared: {line.name}", LineKind.CORRECTION: f"corrections of {line.name}"
    }[line.kind]  # fmt: skip


def basis_of(line: Line) -> str:
    """By what a part was cut, in words; "" for what is no part."""
    if line.basis is None:
        return ""
    return f"{line.basis.ratio:.2%} by {'cost' if line.basis.unit == 'nano-USD' else line.basis.unit.lower()}"


def csv_of(it: PeriodStatements, statements: Iterable[Statement]) -> str:
    """One row a line; amounts exact in two units. What begins like a formula gets an apostrophe in front."""
    rows = _Rows()
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerow(CSV_COLUMNS)
    state = "open" if it.closing is None else "closed"
    for statement in statements:
        for line in statement.lines:
            writer.writerow((
                it.window.name, state, it.rules.mode.value, statement.party.kind.value, _cell(statement.party.name),
                line.kind.value, _cell(line.name), line.nanos, usd_text(line.nanos), line.unsure_nanos, line.call_count,
                line.token_count,
                "" if line.basis is None else f"{line.basis.ratio:f}",
            ))  # fmt: skip
    return "".join(rows.texts)


class _Rows:
    """Where rows are written."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def write(self, text: str) -> None:
        self.texts.append(text)


def _cell(text: str) -> str:
    return f"'{text}" if text.startswith(_FORMULA) else text


def markdown_of(it: PeriodStatements, statement: Statement, limit: TeamLimit | None) -> str:
    """One party's statement."""
    state = "preview, not closed" if it.closing is None else f"closed {it.closing.at:%Y-%m-%d} by {_md(it.closing.by)}"
    lines = [
        f"# {_md(statement.party.title)}, {it.window.name}", "",
        f"{it.rules.mode.value.capitalize()}; {state}. Total **{format_usd(statement.nanos)}**.", "",
        "| line | calls | tokens | USD | share |", "|---|---:|---:|---:|---|",
        *[_md_row(line) for line in statement.lines], f"| **total** | | | **{usd_text(statement.nanos)}** | |", "",
    ]  # fmt: skip
    said = limit_sentences(limit) if limit is not None else []
    return "\n".join([*lines, *(["## Budgets", "", *[f"- {_md(text)}" for text in said], ""] if said else [])])


def limit_sentences(limit: TeamLimit) -> Sequence[str]:
    """What there is to say of a team's budgets."""
    said = []
    if limit.limit_nanos is not None and limit.remaining_nanos is not None:
        left = limit.remaining_nanos
        what = f"{format_usd(left)} remain" if left >= 0 else f"{format_usd(-left)} above it"
        said.append(f"Deducted from budget {limit.budget!r} of {format_usd(limit.limit_nanos)}: {what}.")
    elif limit.limit_nanos is not None:
        share = f"{limit.charged_nanos / limit.limit_nanos:.0%}" if limit.limit_nanos else "all"
        said.append(f"{share} of budget {limit.budget!r} ({format_usd(limit.limit_nanos)}); showback deducts nothing.")
    else:
        said.append("No monthly USD budget of this team is in the policy.")
    said += [f"{limit.sentence}."] if limit.sentence else []
    for it in limit.watching:
        counts = [f"refused {it.refused_count} calls"] if it.refused_count else []
        counts += [f"would have stopped {it.would_count} sessions"] if it.would_count else []
        said.append(
            f"Budget {it.budget!r} ({it.limit}, {it.mode.value}) watches its calls{': ' if counts else ''}{', '.join(counts)}."
        )
    return said


def _md_row(line: Line) -> str:
    calls = f"{line.call_count:,}" if line.call_count else ""
    tokens = f"{line.token_count:,}" if line.token_count else ""
    return f"| {_md(title_of(line))} | {calls} | {tokens} | {usd_text(line.nanos)} | {basis_of(line)} |"


def _md(text: str) -> str:
    """Names of others as plain text of a table's cell."""
    plain = "".join(f"\\{char}" if char in "\\`*_[]<>|#&!" else char for char in " ".join(text.split()))
    return plain or "?"
