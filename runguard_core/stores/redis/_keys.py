"""The names of a book's keys. All begin with one tag, so that a cluster keeps them in one slot."""

from __future__ import annotations

from hashlib import blake2b

#: In the order in which scripts get them (see lua/prelude.lua).
_NAMES = (
    "meta",  # hash: epoch, schema, readable_by; counters: lines, events, accounts, breaker
    "account",  # hash: an account's key -> its number
    "detail",  # hash: number -> key, unit, title, window as JSON
    "shown",  # hash: number -> the limit that a reader should see
    "sums",  # hash: number and p, n, a or l -> posted, pending, assumed, leased
    "standing",  # hash: call -> how it stands: one text, parts divided by |
    "request",  # hash: call -> what it was at its admission, as JSON
    "settled",  # hash: call -> how it ended, as JSON
    "pending",  # sorted set: calls not settled, by deadline
    "started",  # sorted set: all calls, by their start
    "entry",  # stream: the lines of the book
    "event",  # hash: event -> JSON
    "events",  # sorted set: events in order
    "latch",  # hash: scope -> state|JSON
    "override",  # hash: an account's key -> JSON
    "owner",  # hash: who spends leases -> how far its journal is applied, deadline, last grant, who it is; divided by |
)


class Keys:
    """The keys of one tenant's book. Its name may be any text: only a digest of it is in them."""

    def __init__(self, tenant: str) -> None:
        self._tag = f"rg:{{{_digest(tenant)}}}"
        self.book = tuple(f"{self._tag}:{name}" for name in _NAMES)
        self.detail, self.sums = self.book[2], self.book[4]
        self.pending, self.started, self.entry, self.event, self.events, self.latch, self.override = self.book[8:15]
        self.owner = self.book[15]

    def calls_of(self, dimension: str, name: str) -> str:
        """Sorted set: the calls of a session or a run, by their start."""
        return f"{self._tag}:calls:{dimension}:{_digest(name)}"

    def lease_of(self, owner: str) -> str:
        """Hash: an account's number -> what is left of an owner's lease."""
        return f"{self._tag}:lease:{_digest(owner)}"

    def open_of(self, owner: str) -> str:
        """Set: the calls that an owner of leases has not closed."""
        return f"{self._tag}:open:{_digest(owner)}"

    def events_of(self, session: str) -> str:
        """Sorted set: the events of a session, in order."""
        return f"{self._tag}:events:{_digest(session)}"


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "replace"), digest_size=10).hexdigest()
