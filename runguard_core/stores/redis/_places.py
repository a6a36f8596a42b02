"""Which keys a script is given behind those of the book, and where in KEYS they stand."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence

from runguard_core.ledger import CallRecord, Event
from runguard_core.stores.redis import _breaker_rows as breaker
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

    def lists_of(self, call: CallRecord) -> list[int]:
        """The places of the lists that a call belongs to."""
        who = call.attribution
        names = (("session", who.session), ("run", who.run))
        return [self.of(self._keys.calls_of(name, value)) for name, value in names if value is not None]

    def lists(self, call: CallRecord) -> str:
        """The same as a text."""
        return ",".join(map(str, self.lists_of(call)))

    def rows_of(self, events: Sequence[Event]) -> list[list[object]]:
        """Events as scripts take them: id, text, the place of its session's list (0 for none)."""
        found: list[list[object]] = []
        for event in events:
            place = 0 if event.session is None else self.of(self._keys.events_of(event.session))
            found.append([rows.fit(event.id), breaker.event_text(event), place])
        return found

    def events(self, events: Sequence[Event]) -> str:
        """The same as a text."""
        return json.dumps(self.rows_of(events)) if events else ""
