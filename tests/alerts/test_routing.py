"""Which channels a notice goes through: exactly those of its person and team, never none."""

from __future__ import annotations

import pytest

from runguard_core import Budget
from runguard_core.alerts import NOWHERE, Alerting, threshold_source
from runguard_core.finops.owners import Contact, Duty, Registry, Step, Team
from tests.alerts.values import a_channel, a_notice, later
from tests.guard.spending import CENT, spend

CHANNELS = {
    "pager": a_channel("https://x.example", "pagerduty"), "chat": a_channel("https://x.example", "slack"),
    "ops": a_channel("https://x.example", "webhook"),
}  # fmt: skip
REGISTRY = Registry(
    features={"search": Duty(owner="ana", team="discovery"), "mail": Duty(owner="ben")},
    teams={"discovery": Team(name="discovery", channels=("chat",))},
    contacts={"ana": Contact(key="ana", channels=("pager", "chat")), "ben": Contact(key="ben", channels=("tgram://S3CRET/1",))},
)


@pytest.mark.parametrize(
    ("notice", "default", "wanted"),
    [
        (a_notice(to="ana", feature="search"), ("ops",), ("pager", "chat")),
        (a_notice(to="cleo", feature="search"), ("ops",), ("chat",)),
        (a_notice(to="cleo", feature="mail"), ("ops", "ops"), ("ops",)),
        (a_notice(to="cleo", feature="mail"), (), (NOWHERE,)),
        (a_notice(to="ana", feature="search", step=Step.REPORT), ("ops",), ("chat",)),
        (a_notice(to="cleo", feature="mail", step=Step.REPORT), ("pager",), ("pager",)),
    ],
)  # fmt: skip
def test_a_notice_goes_to_its_person_and_team_else_to_the_default_and_never_nowhere(
    notice: object, default: tuple[str, ...], wanted: tuple[str, ...]
) -> None:  # fmt: skip
    found = Alerting(channels=CHANNELS, default=default, registry=REGISTRY).channels_for(notice)  # type: ignore[arg-type]  # a notice
    assert found == wanted


def test_a_report_goes_past_a_pager_to_the_default() -> None:
    only_pager = Registry(contacts={"ana": Contact(key="ana", channels=("pager",))})
    alerting = Alerting(channels=CHANNELS, default=("pager", "ops"), registry=only_pager)
    assert alerting.channels_for(a_notice(to="ana", step=Step.REPORT)) == ("ops",)
    assert alerting.channels_for(a_notice(to="ana")) == ("pager",)


def test_a_url_of_a_contact_is_a_name_without_its_secret() -> None:
    (name,) = Alerting(registry=REGISTRY).channels_for(a_notice(to="ben", feature="mail"))
    assert name.startswith("tgram-")
    assert "S3CRET" not in name


def test_a_threshold_is_told_to_the_owner_once_an_hour(make_guard: object) -> None:
    guard = make_guard(app="shop", budgets=[Budget("0.04 USD", per=["session"], thresholds=[0.5])], prices=CENT, feature="search")  # type: ignore[operator]
    for session in ("s-1", "s-2"):
        with guard.session(session):
            spend(guard, 3)
    now = guard.store.events()[-1].at
    (notice,) = threshold_source(REGISTRY).notices(guard.store, "shop", now, now)
    assert (notice.to, notice.level, notice.step) == ("ana", "owner", Step.REPORT)
    assert "has passed 50%" in notice.title
    assert list(threshold_source(REGISTRY).notices(guard.store, "shop", later(9e7), later(9e7))) == []
