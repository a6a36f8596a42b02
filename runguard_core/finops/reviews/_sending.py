"""Reviews as notices: one a reader and period, so that sending again sends nothing twice."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from runguard_core.finops._calendar import Window
from runguard_core.finops.owners import Concerned, Notice, Registry, Step, Urgency, duty_of

#: Who reads which review unless somebody else is named.
READERS = {
    "weekly": ("owner", "lead"), "sprint": ("owner", "lead"), "quarter": ("owner", "lead", "executive"), "digest": ("owner",),
}  # fmt: skip
_TITLE_CHARS = 150


def readers_of(kind: str, features: Iterable[tuple[str, str | None, str | None]], registry: Registry) -> tuple[str, ...]:
    """Who reads a review, by name, each once: those on duty for its features.

    Args:
        kind: "weekly", "sprint", "quarter" or "digest".
        features: (feature, owner, team) of its rows; the owner as the row has it.
    """
    found: set[str] = set()
    for feature, owner, team in features:
        duty = duty_of(registry, Concerned(feature=feature, team=team, owner=owner))
        known = {"owner": owner or duty.owner, "lead": duty.lead, "executive": duty.executive}
        found |= {person for role in READERS[kind] if (person := known[role])}
    return tuple(sorted(found))


def review_notice(kind: str, window: Window, to: str, title: str, text: str, *, app: str, at: datetime) -> Notice:
    """A review for one reader. The same review of the same time for the same person has the same id, whatever it says.

    Args:
        kind: as for `readers_of`. window: what it is about. title, text: of the page. at: when it is sent.
    """
    return Notice(
        about=f"review-{kind}-{window.name}", to=to, level="review", step=Step.REPORT, urgency=Urgency.INFO, at=at,
        title=title[:_TITLE_CHARS], text=text, app=app, facts={"review": kind, "window": window.name},
    )  # fmt: skip
