"""budgets + call + quote -> holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from runguard_core.attribution import Attribution
from runguard_core.budgets import Asked, Budget, BudgetBook, Mode
from runguard_core.ledger import LimitOverride, Unit

AT = datetime(2026, 11, 24, 12, tzinfo=UTC)
WHO = Attribution(app="search", feature="search", session="s1", run="r1", agent="planner", tags=(("tier", "free"),))
ONE_USD = Asked({Unit.USD: 10**9, Unit.CALLS: 1})


def book(*budgets: Budget, mode: Mode = Mode.ENFORCE) -> BudgetBook:
    """A book of an app called search."""
    return BudgetBook(budgets, app="search", zone=UTC, mode=mode)


def keys(made: BudgetBook, who: Attribution = WHO, at: datetime = AT) -> list[str]:
    """The accounts a call touches."""
    return [claim.hold.account.key for claim in made.claims(who, ONE_USD, at, {})]


def test_where_filters_and_per_splits() -> None:
    """A tag can be either."""
    made = book(Budget("1 USD", where={"tier": "free"}), Budget("1 USD", where={"tier": "paid"}), Budget("1 USD", per=["tier"]))
    found = made.claims(WHO, ONE_USD, AT, {})
    assert [claim.hold.account.title for claim in found] == ["tier free", "tier free"]
    assert found[0].hold.account.key != found[1].hold.account.key


def test_renaming_a_budget_or_editing_its_limit_keeps_its_account() -> None:
    """Spend is named by what is limited, not by the budget."""
    assert keys(book(Budget("1 USD", name="a", per=["session"]))) == keys(book(Budget("9 USD", name="b", per=["session"])))


def test_apps_do_not_share_unless_asked() -> None:
    """Two programs on one ledger have their own accounts; a shared budget has one."""
    other = BudgetBook([Budget("1 USD", period="day")], app="chat", zone=UTC, mode=Mode.ENFORCE)
    assert keys(book(Budget("1 USD", period="day"))) != keys(other)
    shared = BudgetBook([Budget("1 USD", period="day", shared=True)], app="chat", zone=UTC, mode=Mode.ENFORCE)
    assert keys(book(Budget("1 USD", period="day", shared=True))) == keys(shared)


def test_a_call_without_session_is_not_counted_per_session_but_without_user_it_is() -> None:
    """No way round a budget by leaving a tag out."""
    bare = Attribution(app="search")
    made = book(Budget("1 USD", per=["session"]), Budget("1 USD", per=["user"]), Budget("1 USD"))
    assert [claim.hold.account.title for claim in made.claims(bare, ONE_USD, AT, {})] == ["user (none)", "app search"]


def test_observed_budgets_hold_without_a_limit() -> None:
    """They are counted and shown, and refuse nothing."""
    (claim,) = book(Budget("1 USD", mode="observe")).claims(WHO, ONE_USD, AT, {})
    assert (claim.hold.limit, claim.hold.shown_limit) == (None, 10**9)
    assert book(Budget("1 USD", mode="off")).claims(WHO, ONE_USD, AT, {}) == []
    (claim,) = book(Budget("1 USD")).claims(WHO, ONE_USD, AT, {}, enforce=False)
    assert claim.hold.limit is None


def test_the_landing_allowance_is_kept_from_ordinary_calls() -> None:
    """Only a landing call sees the whole limit."""
    made = book(Budget("10 USD", landing="2 %"))
    (plain,) = made.claims(WHO, ONE_USD, AT, {})
    (last,) = made.claims(WHO, Asked({Unit.USD: 1}, landing=True), AT, {})
    assert (plain.hold.limit, last.hold.limit) == (9_800_000_000, 10**10)


def test_an_override_holds_until_it_ends() -> None:
    """A person's limit wins while it lasts."""
    made = book(Budget("1 USD"))
    key = keys(made)[0]
    override = LimitOverride(account_key=key, limit=5, by="ann", reason="demo", since=AT, until=AT + timedelta(hours=1))
    (now,) = made.claims(WHO, ONE_USD, AT, {key: override})
    (later,) = made.claims(WHO, ONE_USD, AT + timedelta(hours=2), {key: override})
    assert (now.hold.limit, later.hold.limit) == (5, 10**9)


def test_a_window_that_has_ended_is_never_reopened() -> None:
    """The wall clock may go back; yesterday's budget does not come back with it."""
    made = book(Budget("1 USD", period="day"))
    today = keys(made)
    tomorrow = keys(made, at=AT + timedelta(days=1))
    assert today != tomorrow
    assert keys(made, at=AT) == tomorrow


def test_units_that_a_call_does_not_ask_for_are_not_touched() -> None:
    """A tool call places no hold in tokens."""
    assert book(Budget("5 tool calls"), Budget("5 tokens")).claims(WHO, ONE_USD, AT, {}) == []
