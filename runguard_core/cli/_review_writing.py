"""What the reviews of the command line share: options, the time that is reviewed, forms, printing and sending."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from enum import StrEnum
from io import StringIO
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console

from runguard_core.cli._app import err, out, write_file
from runguard_core.cli._review_text import print_page
from runguard_core.cli._text import json_text
from runguard_core.errors import PolicyError
from runguard_core.finops import Window
from runguard_core.finops.reviews import Page, Practice, html, markdown
from runguard_core.ledger import Store
from runguard_core.policy import Policy


class Form(StrEnum):
    """How a review is written."""

    TEXT = "text"
    MARKDOWN = "markdown"
    HTML = "html"
    JSON = "json"


AtOption = Annotated[
    str | None, typer.Option("--at", help="A date in the time to review, such as 2026-11-24; default: the last complete one.")
]
FormOption = Annotated[Form, typer.Option("--format", help="html is one file that loads nothing from elsewhere.")]
OutputOption = Annotated[Path | None, typer.Option("--output", "-o", help="Write it to a file.")]
SendOption = Annotated[
    bool, typer.Option("--send", help="Send it to its readers through their channels ([alerts]), once a reader and period.")
]
ToOption = Annotated[
    list[str] | None, typer.Option("--to", help="With --send: these readers, by a contact's key or address, instead.")
]


def window_of(loaded: Policy, kind: str, at: str | None) -> Window:
    """The window of a kind that a date lies in; without a date the last complete one."""
    calendar = loaded.calendar
    if at is not None:
        return calendar.of_kind(kind, date_of(at))
    return calendar.before(calendar.of_kind(kind, datetime.now(UTC)), kind)


def date_of(text: str) -> date:
    """A date as people write it.

    Raises:
        PolicyError: it is none.
    """
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise PolicyError(key="--at", expected=f"expected a date such as 2026-11-24, got {text!r:.40}") from None


def practice_of(loaded: Policy, opened: Store) -> Practice:
    """What the policy says, with the limits that are in force today."""
    rules = loaded.in_force(opened).rules
    return Practice(
        registry=loaded.registry, budgets=rules.budgets, prices=rules.prices, zone=rules.zone, plan=loaded.plan,
        rules=rules.attribution,
    )  # fmt: skip


def write(
    pages: Page | Sequence[Page], document: dict[str, Any], form: Form, output: Path | None, *, is_quiet: bool = False
) -> None:
    """Print a review, or write it to a file.

    Args:
        is_quiet: text is not printed: it is sent.
    """
    some = [pages] if isinstance(pages, Page) else list(pages)
    if form is Form.TEXT and output is None:
        for number, page in enumerate([] if is_quiet else some):
            out.print("\n" if number else "", end="")
            print_page(out, page)
    elif output is not None:
        write_file(output, as_text(some, document, form))
    else:
        sys.stdout.write(as_text(some, document, form))


def as_text(pages: Sequence[Page], document: dict[str, Any], form: Form) -> str:
    """A review in one of its forms; text without colour at 100 columns."""
    if form is Form.JSON:
        return json_text(document) + "\n"
    if form is Form.HTML:
        return html(*pages)
    return "\n".join(map(markdown if form is Form.MARKDOWN else plain_text, pages))


def plain_text(page: Page) -> str:
    """The page as a terminal of 100 columns without colours shows it."""
    text = StringIO()
    print_page(Console(file=text, width=100, highlight=False, emoji=False, no_color=True, force_terminal=False), page)
    return "\n".join(line.rstrip() for line in text.getvalue().splitlines()) + "\n"


@contextmanager
def telling() -> Iterator[Callable[[str], None] | None]:
    """A line on a terminal's standard error that says what is being read."""
    if not err.is_terminal:
        yield None
        return
    with err.status("reading the ledger") as status:
        yield lambda what: status.update(f"reading {what}")
