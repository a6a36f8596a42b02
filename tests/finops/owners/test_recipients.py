"""From a role to a person: owners, who stands in, and that nothing is left to nobody."""

from __future__ import annotations

from datetime import date

import pytest

from runguard_core.finops.owners import UNOWNED, Concerned, Contact, Duty, Registry, Team, recipients

DAY = date(2026, 12, 24)
HOLIDAYS = ((date(2026, 12, 21), date(2027, 1, 4)),)
REGISTRY = Registry(
    default=Duty(owner="boss", team="shop"),
    features={
        "search": Duty(owner="ana", deputy="ben", team="discovery"),
        "chat": Duty(owner="cleo", deputy="ana"),
        "triage": Duty(team="care"),
    },
    agents={"planner": Duty(owner="pia")},
    teams={"discovery": Team(name="discovery", lead="lea", executive="eve"), "care": Team(name="care", lead="lou")},
    contacts={"cleo": Contact(key="cleo", away=HOLIDAYS)},
)


def told(*roles: str, day: date = DAY, unowned: str = "", registry: Registry = REGISTRY, **about: str) -> list[tuple[str, str]]:
    """Who, in which role."""
    return [(one.to, one.level) for one in recipients(roles, Concerned(**about), registry, day, unowned)]


def test_each_level_reaches_exactly_its_person() -> None:
    """One a role, each person once, a named one as named."""
    assert told("owner", feature="search") == [("ana", "owner")]
    assert told("owner", feature="search", agent="planner") == [("pia", "owner")]
    assert told("lead", feature="search") == [("lea", "lead")]
    assert told("executive", feature="search") == [("eve", "executive")]
    assert told("owner", "lead", "cto@example.com", feature="search") == [
        ("ana", "owner"), ("lea", "lead"), ("cto@example.com", "named"),
    ]  # fmt: skip
    assert told("owner", "lead", feature="chat", day=date(2026, 12, 1)) == [("cleo", "owner")], "who is both is told once"


@pytest.mark.parametrize(
    ("day", "person"),
    [(date(2026, 12, 20), ("cleo", "owner")), (date(2026, 12, 21), ("ana", "deputy")), (date(2027, 1, 3), ("ana", "deputy")),
     (date(2027, 1, 4), ("cleo", "owner"))],
)  # fmt: skip
def test_the_deputy_falls_in_while_the_owner_is_away(day: date, person: tuple[str, str]) -> None:
    """From the first day away until the first day back."""
    assert told("owner", feature="chat", day=day) == [person]


def test_what_has_no_owner_falls_to_the_teams_lead_and_then_to_the_apps_owner() -> None:
    """The owner that calls carry comes first, unless it is only the app's own."""
    assert told("owner", feature="triage") == [("lou", "lead")]
    assert told("owner", feature="triage", owner="dan") == [("dan", "owner")]
    assert told("owner", feature="triage", owner="boss") == [("lou", "lead")]
    assert told("owner", feature="new") == [("boss", "owner")]
    assert told("owner", feature="new", team="care", owner="unattributed") == [("lou", "lead")]
    assert told("executive", feature="triage") == [("lou", "lead")]


def test_the_whole_app_is_its_teams_executives_where_they_agree() -> None:
    """Two teams, one executive; two leads are no lead."""
    both = Registry(teams={name: Team(name=name, lead=f"lead-{name}", executive="eve") for name in ("care", "growth")})
    assert told("executive", registry=both) == [("eve", "executive")]
    assert told("lead", registry=both) == [(UNOWNED, "unowned")]
    assert told("executive", feature="new", registry=both) == [(UNOWNED, "unowned")]


def test_where_there_is_nobody_it_says_so() -> None:
    """And goes to whom the policy names for that."""
    nobody = Registry()
    assert told("owner", feature="new", registry=nobody) == [(UNOWNED, "unowned")]
    assert told("owner", "lead", feature="new", registry=nobody, unowned="finops") == [("finops", "unowned")]


def test_when_all_are_away_the_first_is_told() -> None:
    """Somebody late is better than nobody."""
    away = Registry(features={"f": Duty(owner="a", deputy="b")}, contacts={n: Contact(key=n, away=HOLIDAYS) for n in "ab"})
    assert told("owner", feature="f", registry=away) == [("a", "owner")]
