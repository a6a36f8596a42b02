"""A plan is used again as long as it is good, and no longer."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from runguard_core.attribution import Attribution
from runguard_core.budgets import Asked, Budget, BudgetBook, Mode
from runguard_core.ledger import Hold, LimitOverride, Unit

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
WHO = Attribution(app="search", feature="search", session="s1", run="r1", agent="planner", tags=(("tier", "free"),))
NONE: dict[str, LimitOverride] = {}
DAY = timedelta(days=1)


def book(*budgets: Budget) -> BudgetBook:
    """A book of an app called search."""
    return BudgetBook(budgets, app="search", zone=UTC, mode=Mode.ENFORCE)


def test_owners_who_look_the_same_to_the_budgets_share_a_plan() -> None:
    """Another run does, another session or tag does not where a budget names it."""
    made = book(Budget("1 USD", per=["session"]), Budget("2 USD", per=["tier"]))
    plan = made.known_plan(WHO, AT, NONE)
    assert made.known_plan(replace(WHO, run="r2", user="u"), AT, NONE) is plan
    other = made.known_plan(replace(WHO, session="s2"), AT, NONE)
    paid = made.known_plan(replace(WHO, tags=(("tier", "paid"),)), AT, NONE)
    assert len({share.account.key for one in (plan, other, paid) for share in one.shares}) == 4
    assert made.known_plan(WHO, AT, NONE, enforce=False) is not plan


def test_a_plan_ends_with_its_window_and_never_before() -> None:
    """The next day has another account; the clock going back does not bring the old one back."""
    made = book(Budget("1 USD", period="day"))
    today = made.known_plan(WHO, AT, NONE)
    assert made.known_plan(WHO, AT + timedelta(hours=11, minutes=59), NONE) is today
    tomorrow = made.known_plan(WHO, AT + DAY / 2, NONE)
    assert tomorrow.shares[0].account.window_start == datetime(2026, 11, 25, tzinfo=UTC)
    assert made.known_plan(WHO, AT, NONE) is tomorrow


def test_a_window_that_another_owners_plan_opened_ends_this_one() -> None:
    """The book's window has moved on, so the clock going back must not find the old plan good."""
    made = book(Budget("1 USD", period="day", per=["session"]))
    before = made.known_plan(WHO, AT, NONE)
    made.known_plan(replace(WHO, session="s2"), AT + DAY, NONE)
    after = made.known_plan(WHO, AT, NONE)
    assert (before.shares[0].account.window_start, after.shares[0].account.window_start) == (
        datetime(2026, 11, 24, tzinfo=UTC),
        datetime(2026, 11, 25, tzinfo=UTC),
    )


def test_a_plan_ends_when_a_limit_is_raised_and_when_that_ends() -> None:
    """Stores replace the mapping of overrides, so another one means that something has changed."""
    made = book(Budget("1 USD"))
    key = made.known_plan(WHO, AT, NONE).shares[0].account.key
    raised = {key: LimitOverride(account_key=key, limit=5, by="ann", reason="", since=AT, until=AT + DAY)}
    assert made.known_plan(WHO, AT, raised).shares[0].limit == 5
    assert made.known_plan(WHO, AT + DAY, raised).shares[0].limit == 10**9
    assert made.known_plan(WHO, AT, {}).shares[0].limit == 10**9


def test_two_budgets_on_one_account_hold_once_under_the_tighter_limit() -> None:
    """And both are named in claims."""
    plan = book(Budget("3 USD", name="a"), Budget("2 USD", name="b"), Budget("1 USD", name="c", mode="observe")).plan(
        WHO, AT, NONE
    )
    account = plan.shares[0].account
    assert plan.holds({Unit.USD: 7}) == (Hold(account, 7, 2 * 10**9, 10**9),)
    assert [claim.budget.name for claim in plan.claims({Unit.USD: 7})] == ["a", "b", "c"]
    assert plan.holds({Unit.CALLS: 1}) == ()


def test_a_budget_that_counts_by_turn_is_planned_call_by_call() -> None:
    """Each turn has an account of its own; claims always look anew."""
    made = book(Budget("1 USD", period="turn"))
    assert made.is_by_turn
    assert not book(Budget("1 USD", per=["session"])).is_by_turn
    keys = {made.claims(replace(WHO, turn=n), Asked({Unit.USD: 1}), AT, NONE)[0].hold.account.key for n in (1, 2)}
    assert len(keys) == 2
