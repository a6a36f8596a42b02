"""Many ledgers in one: `Source`, whose ledger has been shipped up to where; `Parcel`, a part of it that arrives whole or not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from runguard_core.ledger._accounts import AccountRow
from runguard_core.ledger._calls import CallRecord
from runguard_core.ledger._entries import Entry
from runguard_core.ledger._events import Event
from runguard_core.ledger._store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A ledger of a fleet, as the fleet's ledger knows it.

    Attributes:
        ledger: its id, made once and kept in it.
        host: where it is; place: its path or URL there, without secrets.
        line: up to which of its lines it has been shipped, all those before included.
        shipped_at: when last (UTC), also when there was nothing new.
    """

    ledger: str
    host: str
    place: str
    line: int
    shipped_at: datetime


@dataclass(frozen=True, slots=True)
class Parcel:
    """Whole calls of a ledger as they stand there, each with every line it has; and what was announced.

    Attributes:
        source: whose, up to where once this has arrived.
        calls: in the order of their first lines.
        lines: every line of these calls, and of lost leases, by call id, in order.
        accounts: every account that the lines move, by key.
        events: what was announced, in order.
    """

    source: Source
    calls: Sequence[CallRecord]
    lines: Mapping[str, Sequence[Entry]]
    accounts: Mapping[str, AccountRow]
    events: Sequence[Event] = ()


class FleetStore(Store, Protocol):
    """A store that takes other ledgers in. A parcel that comes twice, or after a newer one, changes nothing."""

    def ledger_id(self) -> str:
        """The id of this ledger; kept in it, the same wherever the file is moved."""
        ...

    def receive(self, parcel: Parcel) -> int:
        """Take a parcel in, in one step; how many of its lines were new.

        Raises:
            ConflictingEntryError: a call is here already from another ledger, or a line of this ledger with other content (a file
                was copied and both went on, or an old copy was put back); nothing is changed.
        """
        ...

    def sources(self) -> tuple[Source, ...]:
        """Every ledger that was ever shipped here, by host and place."""
        ...
