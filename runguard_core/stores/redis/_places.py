"""Which keys a script is given behind those of the book, and where in KEYS they stand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from runguard_core.ledger import CallRecord, Event
from runguard_core.stores.redis import _rows as rows
from runguard_core.stores.redis._keys import Keys


class Places:
    """Collects keys while a verb is put into words; every key that a script touches is declared."""

    def __init__(self, keys: Keys, first: Iterable[str] = ()) -> None:
        """Begin behind the book's keys; `first` are those that the script knows by their place."""
        self._keys, self._after = keys, len(keys.book) + 1
        self._places = {key: self._after + at for at, key in enumerate(first)}

    @property
    def more(self) -> list[str]:
        """The keys behind those of the book, in order."""
        return list(self._places)

    def of(self, key: str) -> int:
        """Where a key stands in KEYS, from 1."""
        return self._places.setdefault(key, self._after + len(self._places))

    def lists(self, call: CallRecord) -> str:
        """The places of the lists that a call belongs to."""
        who = call.attribution
        names = (("session", who.session), ("run", who.run))
        return ",".join([str(self.of(self._keys.calls_of(name, value))) for name, value in names if value is not None])

    def events(self, events: Sequence[Event]) -> str:
        """Events as scripts take them."""
        if not events:
            return ""
        sessions = [event.session for event in events]
        places = [0 if session is None else self.of(self._keys.events_of(session)) for session in sessions]
        return rows.events_text(events, places)
