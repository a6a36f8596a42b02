"""`runguard review`: weekly, sprint, quarter, digest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer

from runguard_core.cli._app import AppOption, Exit, JsonOption, PolicyOption, StoreOption, app, fail, ledger
from runguard_core.cli._review_sending import send
from runguard_core.cli._review_writing import (
    AtOption,
    Form,
    FormOption,
    OutputOption,
    SendOption,
    ToOption,
    plain_text,
    practice_of,
    telling,
    window_of,
    write,
)
from runguard_core.finops import Window
from runguard_core.finops.owners import Notice
from runguard_core.finops.reviews import (
    Page,
    WeeklyReview,
    digest_document,
    digest_page,
    owners_of,
    quarter_document,
    quarter_page,
    read_material,
    read_quarter,
    read_sprint,
    readers_of,
    review_notice,
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


@review_app.command("weekly")
def weekly_command(
    at: AtOption = None,
    form: FormOption = Form.TEXT,
    output: OutputOption = None,
    send_it: SendOption = False,
    to: ToOption = None,
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
        wish = _Wish(Form.JSON if as_json else form, output, send_it, to, app_name)
        rows = [(row.feature, row.owner, row.team) for row in it.features]
        _give(opened, loaded, wish, "weekly", it.week, weekly_page(it), weekly_document(it), rows)


@review_app.command("sprint")
def sprint_command(
    at: AtOption = None,
    form: FormOption = Form.TEXT,
    output: OutputOption = None,
    send_it: SendOption = False,
    to: ToOption = None,
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
            it = read_sprint(opened, app_name, loaded.calendar, window, practice_of(loaded, opened))
        wish = _Wish(Form.JSON if as_json else form, output, send_it, to, app_name)
        rows = [(row.name, row.owner, None) for row in it.features]
        _give(opened, loaded, wish, "sprint", window, sprint_page(it), sprint_document(it), rows)


@review_app.command("quarter")
def quarter_command(
    at: AtOption = None,
    form: FormOption = Form.TEXT,
    output: OutputOption = None,
    send_it: SendOption = False,
    to: ToOption = None,
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
            it = read_quarter(opened, app_name, loaded.calendar, window, practice_of(loaded, opened), datetime.now(UTC))
        wish = _Wish(Form.JSON if as_json else form, output, send_it, to, app_name)
        rows = [(row.feature, row.owner, None) for row in it.features]
        _give(opened, loaded, wish, "quarter", window, quarter_page(it), quarter_document(it), rows)


@review_app.command("digest")
def digest_command(
    owner: Annotated[
        str | None, typer.Option("--owner", help="Whose: a contact's key or an address; default: everybody's.")
    ] = None,
    at: AtOption = None,
    form: FormOption = Form.TEXT,
    output: OutputOption = None,
    send_it: SendOption = False,
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
        write(pages, document, Form.JSON if as_json else form, output, is_quiet=send_it)
        if send_it:
            both = zip(owners, pages, strict=True)
            send(opened, loaded, [_notice("digest", it.week, one, page, app_name, loaded) for one, page in both])


class _Wish(NamedTuple):
    """How a review is wanted: in which form and where, and whether it is sent, to whom (None: to its readers)."""

    form: Form
    output: Path | None
    is_sent: bool
    to: list[str] | None
    app_name: str | None


def _give(
    opened: Store, loaded: Policy, wish: _Wish, kind: str, window: Window, page: Page, document: Mapping[str, Any],
    rows: Sequence[tuple[str, str | None, str | None]],
) -> None:  # fmt: skip
    """Write a review, and send it where that is wished. `rows`: feature, owner, team of each line."""
    write(page, {"ledger": opened.url, **document}, wish.form, wish.output, is_quiet=wish.is_sent)
    if wish.is_sent:
        readers = wish.to or readers_of(kind, rows, loaded.registry)
        send(opened, loaded, [_notice(kind, window, one, page, wish.app_name, loaded) for one in readers])


def read_week(opened: Store, loaded: Policy, app_name: str | None, at: str | None) -> WeeklyReview:
    """The weekly review of a ledger, with its agenda."""
    window = window_of(loaded, "week", at)
    with telling() as tell:
        practice = practice_of(loaded, opened)
        material = read_material(opened, app_name, loaded.calendar, window, practice, tell)
        return with_agenda(weekly(material, practice, app_name))


def _notice(kind: str, window: Window, to: str, page: Page, app_name: str | None, loaded: Policy) -> Notice:
    """A page for one reader: as text, without how figures are worked out."""
    text = plain_text(replace(page, rules=()))
    app_ = app_name or loaded.content.app
    return review_notice(kind, window, to, page.title, text, app=app_, at=datetime.now(UTC))
