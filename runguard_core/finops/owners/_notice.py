"""A notice: something that one person must hear, once. The practice writes notices, alerts deliver them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from hashlib import blake2b
from typing import Any


class Urgency(StrEnum):
    """How urgent a notice is, in PagerDuty's words."""

    INFO = "info"
    WARNING = "warning"
    ERROR = "error"
    CRITICAL = "critical"


class Step(StrEnum):
    """What a notice does to the incident of its `dedup_key` at the destination."""

    TRIGGER = "trigger"
    ACKNOWLEDGE = "acknowledge"
    RESOLVE = "resolve"
    REPORT = "report"  # a review or a digest: no incident


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What is to be said, and to whom.

    Attributes:
        about: what it is about, the same for every notice of one episode ("an-3f2c..."): folds messages at a destination.
        to: a contact's key or an address. level: why this person: "owner", "deputy", "lead", "executive", "review".
        step, urgency, at: see there.
        title: one line of at most 150 characters. text: what a person needs, plain text.
        app, feature, agent, team, session: whom it concerns.
        facts: amounts as strings of nano-USD, links; JSON types only.
        number: tells several notices about the same thing apart (an update, an ending).
    """

    about: str
    to: str
    level: str
    step: Step
    urgency: Urgency
    at: datetime
    title: str
    text: str
    app: str
    feature: str | None = None
    agent: str | None = None
    team: str | None = None
    session: str | None = None
    facts: Mapping[str, Any] = field(default_factory=dict)
    number: int = 0

    @property
    def id(self) -> str:
        """The same notice to the same person has the same id, whoever writes it."""
        said = "\0".join((self.app, self.about, self.to, self.level, self.step.value, str(self.number)))
        return "no-" + blake2b(said.encode("utf-8", "replace"), digest_size=8).hexdigest()
