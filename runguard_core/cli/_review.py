"""`runguard review`: weekly, sprint, quarter, digest."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, date, datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer

from runguard_core.cli._app import (
    AppOption,
    Exit,
    JsonOption,
    PolicyOption,
    StoreOption,
    app,
    err,
    fail,
    ledger,
    out,
    write_file,
)
from runguard_core.cli._review_text import print_page
from runguard_core.cli._text import json_text
from runguard_core.errors import PolicyError
from runguard_core.finops import Window
from runguard_core.finops.reviews import (
    Page,
    Practice,
    WeeklyReview,
    digest_document,
    digest_page,
    html,
    markdown,
    owners_of,
    quarter_document,
    quarter_page,
    read_material,
    read_quarter,
    read_sprint,
    sprint_document,
    sprint_page,
    weekly,
    weekly_document,
    weekly_page,
    with_agenda,
)
from runguard_core.ledger import Store
from runguard_core.policy import Policy

_HELP = "Reviews for a meeting: the week, the sprint, the quarter; a digest for each owner."
review_app = typer.Typer(help=_HELP, no_args_is_help=True)
app.add_typer(review_app, name="review")


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


@review_app.command("weekly")
def weekly_command(
    at: AtOption = None,
    form: FormOption = Form.TEXT,
    output: OutputOption = None,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Review a week: a row a feature, anomalies, one opportunity each, an agenda for fifteen minutes.

    Example: [bold]runguard review weekly --format html -o week.html[/]
    """
    with ledger(store, app_name, policy) as (opened, loaded):
        it = read_week(opened, loaded, app_name, at)
        write(weekly_page(it), {"ledger": opened.url, **weekly_document(it)}, Form.JSON if as_json else form, output)


@review_app.command("sprint")
def sprint_command(
    at: AtOption = None,
    form: FormOption = Form.TEXT,
    output: OutputOption = None,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    r"""Look back at a sprint: against the last one, what agents' sessions cost, causes, what was shipped; ten minutes.

    Sprints begin where \[calendar] of the policy says (sprint_start, sprint_days).

    Example: [bold]runguard review sprint --at 2026-11-16[/]
    """
    with ledger(store, app_name, policy) as (opened, loaded):
        window = window_of(loaded, "sprint", at)
        with telling():
            it = read_sprint(opened, app_name, loaded.calendar, window, practice_of(loaded))
        write(sprint_page(it), {"ledger": opened.url, **sprint_document(it)}, Form.JSON if as_json else form, output)


@review_app.command("quarter")
def quarter_command(
    at: AtOption = None,
    form: FormOption = Form.TEXT,
    output: OutputOption = None,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Hold a quarter against its budgets: cost per session by month, planned features, which budgets to change.

    Example: [bold]runguard review quarter --format markdown[/]
    """
    with ledger(store, app_name, policy) as (opened, loaded):
        window = window_of(loaded, "quarter", at)
        with telling():
            it = read_quarter(opened, app_name, loaded.calendar, window, practice_of(loaded), datetime.now(UTC))
        write(quarter_page(it), {"ledger": opened.url, **quarter_document(it)}, Form.JSON if as_json else form, output)


@review_app.command("digest")
def digest_command(
    owner: Annotated[
        str | None, typer.Option("--owner", help="Whose: a contact's key or an address; default: everybody's.")
    ] = None,
    at: AtOption = None,
    form: FormOption = Form.TEXT,
    output: OutputOption = None,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Tell an owner of a feature how its week went, on one screen.

    Example: [bold]runguard review digest --owner ana@example.com[/]
    """
    with ledger(store, app_name, policy) as (opened, loaded):
        it = read_week(opened, loaded, app_name, at)
        owners = owners_of(it) if owner is None else (owner,)
        if owner is not None and owner not in owners_of(it):
            known = ", ".join(owners_of(it)) or "nobody"
            raise fail(f"{owner} answers for no feature of week {it.week.name}; owners there: {known}", Exit.FOUND_WRONG)
        pages = [digest_page(it, one, loaded.registry.contact(one).title) for one in owners]
        document = {"ledger": opened.url, "digests": [digest_document(it, one) for one in owners]}
        write(pages, document, Form.JSON if as_json else form, output)


def read_week(opened: Store, loaded: Policy, app_name: str | None, at: str | None) -> WeeklyReview:
    """The weekly review of a ledger, with its agenda."""
    window = window_of(loaded, "week", at)
    with telling() as tell:
        material = read_material(opened, app_name, loaded.calendar, window, dimensions_of(loaded), tell)
        return with_agenda(weekly(material, practice_of(loaded), app_name))


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


def dimensions_of(loaded: Policy) -> tuple[str, ...]:
    """What calls must carry, by the policy; feature and team where it asks for nothing."""
    return tuple(loaded.content.require) or ("feature", "team")


def practice_of(loaded: Policy) -> Practice:
    """What the policy and the people say."""
    rules = loaded.rules
    return Practice(registry=loaded.registry, budgets=rules.budgets, prices=rules.prices, zone=rules.zone)


def write(pages: Page | Sequence[Page], document: dict[str, Any], form: Form, output: Path | None) -> None:
    """Print a review, or write it to a file."""
    some = [pages] if isinstance(pages, Page) else list(pages)
    if form is Form.TEXT and output is None:
        for number, page in enumerate(some):
            out.print("\n" if number else "", end="")
            print_page(out, page)
        return
    text = as_text(some, document, form)
    if output is not None:
        write_file(output, text)
    else:
        sys.stdout.write(text)


def as_text(pages: Sequence[Page], document: dict[str, Any], form: Form) -> str:
    """A review in one of its forms; text without colour at 100 columns."""
    if form is Form.JSON:
        return json_text(document) + "\n"
    if form is Form.HTML:
        return html(*pages)
    return "\n".join(map(markdown if form is Form.MARKDOWN else plain_text, pages))


def plain_text(page: Page) -> str:
    """The page as a terminal of 100 columns without colours shows it."""
    from io import StringIO  # noqa: PLC0415

    from rich.console import Console  # noqa: PLC0415

    console = Console(file=StringIO(), width=100, highlight=False, emoji=False, no_color=True, force_terminal=False)
    print_page(console, page)
    return "\n".join(line.rstrip() for line in console.file.getvalue().splitlines()) + "\n"  # type: ignore[attr-defined]  # a StringIO


@contextmanager
def telling() -> Iterator[Any]:
    """A line on a terminal's standard error that says what is being read."""
    if not err.is_terminal:
        yield None
        return
    with err.status("reading the ledger") as status:
        yield lambda what: status.update(f"reading {what}")
