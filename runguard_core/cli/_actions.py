"""`runguard actions`: a backlog, and what it saved."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

import typer

from runguard_core.cli._acting import person
from runguard_core.cli._actions_finding import app_named, day_of_text, find_action, instant_of_text, open_action, write_event
from runguard_core.cli._actions_render import print_actions, print_claim, print_wins
from runguard_core.cli._app import AppOption, Exit, JsonOption, PolicyOption, StoreOption, app, fail, ledger, out, say, show
from runguard_core.finops.actions import (
    CLAIM_WEEKS,
    MEASURED_DAYS,
    Size,
    Win,
    action_json,
    changing,
    check_of,
    claim,
    claim_json,
    deadline_of,
    dropping,
    finishing,
    measure,
    opening,
    read_actions,
    standing,
    win_json,
    wins,
)

actions_app = typer.Typer(
    no_args_is_help=True, help="Keep a backlog of what is to be done about costs, and measure what it saved."
)
app.add_typer(actions_app, name="actions")
IdArgument = Annotated[str, typer.Argument(help="The action's id, as `runguard actions list` shows it.")]
ByOption = Annotated[str | None, typer.Option("--by", help="Who says so; else the user of this machine.")]
WhyOption = Annotated[str, typer.Option("--reason", "-r", help="Why; recorded with the event.")]
DateOption = Annotated[str | None, typer.Option("--deadline", help="Last day in time, e.g. 2026-12-20; else by the size.")]


@actions_app.command("add")
def add_command(
    title: Annotated[str, typer.Argument(help="What is to be done, one line.")],
    feature: Annotated[str | None, typer.Option("--feature", help="What it is about; savings are measured there.")] = None,
    agent: Annotated[str | None, typer.Option("--agent", help="As --feature; both may be given.")] = None,
    owner: Annotated[str | None, typer.Option("--owner", help="Who promises it; else the policy's owner of it.")] = None,
    size: Annotated[
        Size, typer.Option("--size", help="small: by the next sprint's end; large: the next quarter's.")
    ] = Size.SMALL,
    deadline: DateOption = None,
    by: ByOption = None,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Take an action on: one owner, one deadline; a large one is checked half-way.

    Example: [bold]runguard actions add "Shorten the system prompt" --feature search --owner ana[/]
    """
    with ledger(store, app_name, policy) as (opened, loaded):
        now, calendar, named = datetime.now(UTC), loaded.calendar, app_named(opened, loaded, app_name)
        who = owner or loaded.registry.duty(feature, agent).owner
        if not who:
            raise fail("nobody owns that in the policy: say who promises it, --owner NAME", Exit.USAGE)
        today = calendar.date_of(now)
        due = day_of_text(deadline, "--deadline") or deadline_of(size, today, calendar)
        said = opening(
            title, read_actions(opened, named), app=named, owner=who, size=size, deadline=due,
            check_on=check_of(size, today, due, calendar), by=by or person(), at=now, feature=feature, agent=agent,
        )  # fmt: skip
        is_new = opened.announce([said]) == 1
        action = find_action(opened, said.facts["action"], app_name)
        document = {"is_new": is_new, "action": action_json(action, today)}
        known = "" if is_new else " (it was on the backlog already)"
        show(as_json, document, lambda: say(f"{action.id}: {action.owner} until {action.deadline}: {action.title}{known}"))


@actions_app.command("list")
def list_command(
    everything: Annotated[bool, typer.Option("--all", help="Done and dropped ones too.")] = False,
    overdue: Annotated[bool, typer.Option("--overdue", help="Only what is overdue or whose mid-point check is due.")] = False,
    owner: Annotated[str | None, typer.Option("--owner", help="Only this person's.")] = None,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """List the backlog by deadline; what is overdue stands out.

    Example: [bold]runguard actions list --overdue[/]
    """
    with ledger(store, app_name, policy) as (opened, loaded):
        today, known = loaded.calendar.date_of(datetime.now(UTC)), read_actions(opened, app_name)
        it = standing(known, today)
        late = {action.id for action in (*it.overdue, *it.checks_due)}
        rows = [action for action in (known if everything else it.open) if owner in (None, action.owner)]
        rows = [action for action in rows if action.id in late or not overdue]
        document = {
            "ledger": opened.url, "open_count": len(it.open), "overdue_count": len(it.overdue),
            "check_due_count": len(it.checks_due), "actions": [action_json(action, today) for action in rows],
        }  # fmt: skip
        show(as_json, document, lambda: print_actions(out, rows, today))


@actions_app.command("change")
def change_command(
    reason: WhyOption,
    action_id: Annotated[str | None, typer.Argument(metavar="[ID]", help="The action's id; or say --all-of.")] = None,
    all_of: Annotated[str | None, typer.Option("--all-of", help="Every open action of this person: turnover.")] = None,
    owner: Annotated[str | None, typer.Option("--owner", help="Who promises it now.")] = None,
    deadline: DateOption = None,
    check_on: Annotated[str | None, typer.Option("--check-on", help="Day of the mid-point check.")] = None,
    title: Annotated[str | None, typer.Option("--title", help="Other words.")] = None,
    checked: Annotated[
        bool, typer.Option("--checked", help="The mid-point check was made; --reason says what it found.")
    ] = False,
    by: ByOption = None,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Give an open action another owner, deadline or title, or file its mid-point check; the reason is recorded.

    Example: [bold]runguard actions change --all-of ana --owner ben --reason "ana has moved to billing"[/]
    """
    with ledger(store, app_name, policy) as (opened, loaded):
        if (action_id is None) == (all_of is None):
            raise fail("name one action, or say --all-of NAME", Exit.USAGE)
        due, check, now = day_of_text(deadline, "--deadline"), day_of_text(check_on, "--check-on"), datetime.now(UTC)
        if not (owner or due or check or title or checked):
            raise fail("say what changes: --owner, --deadline, --check-on, --title or --checked", Exit.USAGE)
        if action_id is not None:
            chosen = [open_action(opened, action_id, app_name)]
        else:
            chosen = [action for action in read_actions(opened, app_name) if action.is_open and action.owner == all_of]
        for action in chosen:
            write_event(opened, changing(
                action, by=by or person(), reason=reason, at=now, owner=owner, deadline=due, check_on=check, title=title,
                checked=checked,
            ))  # fmt: skip
        rows = [find_action(opened, action.id, app_name) for action in chosen]
        today = loaded.calendar.date_of(now)
        show(as_json, {"actions": [action_json(row, today) for row in rows]}, lambda: print_actions(out, rows, today))


@actions_app.command("done")
def done_command(
    action_id: IdArgument,
    shipped: Annotated[str | None, typer.Option("--shipped", help="When it took effect (day or time); else now.")] = None,
    credit: Annotated[str | None, typer.Option("--credit", help="Whose win it is; else the owner's.")] = None,
    note: Annotated[str, typer.Option("--note", help="What was done.")] = "",
    by: ByOption = None,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """File an action as done; what it saves is measured from when it was shipped, and credited.

    Example: [bold]runguard actions done ac-3f2c1b7a9d04 --shipped 2026-11-02[/]
    """
    with ledger(store, app_name, policy) as (opened, loaded):
        action, now = open_action(opened, action_id, app_name), datetime.now(UTC)
        at = instant_of_text(shipped, loaded.calendar) or now
        if at > now:
            raise fail(f"{shipped} is yet to come: what is done was shipped before now", Exit.USAGE)
        write_event(opened, finishing(action, by=by or person(), at=now, shipped_at=at, credit=credit or action.owner, note=note))
        done = find_action(opened, action_id, app_name)
        document = {"action": action_json(done, loaded.calendar.date_of(now))}
        way = f"runguard actions measure {action_id}"
        show(as_json, document, lambda: say(f"{action_id} is done, credited to {done.credit}. What it saves: {way}"))


@actions_app.command("drop")
def drop_command(
    action_id: IdArgument,
    reason: WhyOption,
    by: ByOption = None,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """File that an action will not be done, and why.

    Example: [bold]runguard actions drop ac-3f2c1b7a9d04 --reason "the feature is being retired"[/]
    """
    with ledger(store, app_name, policy) as (opened, loaded):
        now = datetime.now(UTC)
        write_event(opened, dropping(open_action(opened, action_id, app_name), by=by or person(), reason=reason, at=now))
        dropped = find_action(opened, action_id, app_name)
        document = {"action": action_json(dropped, loaded.calendar.date_of(now))}
        show(as_json, document, lambda: say(f"{action_id} is dropped: {dropped.title}"))


@actions_app.command("measure")
def measure_command(
    action_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="The action's id; all that are done when left out.")
    ] = None,
    days: Annotated[int, typer.Option("--days", min=1, max=366, help="Of each side, before and after.")] = MEASURED_DAYS,
    claimed: Annotated[
        bool, typer.Option("--claim", help="All of it: is cost per session 20 to 40 % lower than at first?")
    ] = False,
    weeks: Annotated[int, typer.Option("--weeks", min=1, max=26, help="With --claim: whole weeks of each side.")] = CLAIM_WEEKS,
    store: StoreOption = None,
    app_name: AppOption = None,
    policy: PolicyOption = None,
    as_json: JsonOption = False,
) -> None:
    """Measure savings: cost per session before x sessions after - actual, with a 90 % interval. More traffic changes nothing.

    Example: [bold]runguard actions measure ac-3f2c1b7a9d04[/]
    """
    with ledger(store, app_name, policy) as (opened, loaded):
        now = datetime.now(UTC)
        if claimed:
            found = claim(opened, app_name, now, loaded.calendar, weeks)
            show(as_json, {"claim": claim_json(found)}, lambda: print_claim(out, found, loaded.calendar))
            return
        known, today = read_actions(opened, app_name), loaded.calendar.date_of(now)
        if action_id is None:
            rows = wins(opened, known, datetime.min.replace(tzinfo=UTC), now, days)
        else:
            action = find_action(opened, action_id, app_name)
            rows = (Win(action, measure(opened, action, known, now, days=days)),)
        document = {"ledger": opened.url, "wins": [win_json(row, today) for row in rows]}
        show(as_json, document, lambda: print_wins(out, rows, loaded.calendar))
