"""What a table for others looks like: `Column`, `Table`, and its schema as a document with a version."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from runguard_core.errors import ExportError

#: A row: one value for each column of its table, in their order.
Row = tuple[Any, ...]


class Kind(StrEnum):
    """What a column holds, and how each format writes it (Parquet; CSV; JSON)."""

    TEXT = "text"  # string; as it is; string
    INT = "int64"  # int64; digits; number
    NANOS = "nano-usd"  # int64; digits; string, so that no reader makes a float of it
    USD = "usd"  # decimal(19, 9); digits, exact; string
    INSTANT = "instant"  # timestamp in microseconds, UTC; ISO 8601 with Z; the same
    BOOL = "bool"  # bool; true or false; bool
    SECONDS = "seconds"  # double; digits; number
    JSON = "json"  # string; compact JSON; the value itself


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its name, what it holds, and what that means in a sentence."""

    name: str
    kind: Kind
    about: str
    is_required: bool = False


#: The first two columns of every table.
ID = Column("id", Kind.TEXT, "what the row is about; of several rows of one id the highest revision holds", True)
REVISION = Column("revision", Kind.INT, "when it was exported, microseconds since 1970 (UTC); ever higher in one folder", True)


@dataclass(frozen=True, slots=True)
class Table:
    """A table for others.

    Attributes:
        name: "calls", "tool-calls", "sessions", "events", "statements".
        version: of its columns; grows when one changes its meaning or goes, not when one is added.
        columns: without `id`, which every row begins with, and `revision`, which the export adds.
        about: one row is what.
    """

    name: str
    version: int
    columns: tuple[Column, ...]
    about: str

    @property
    def all_columns(self) -> tuple[Column, ...]:
        """With `id` and `revision` in front."""
        return (ID, REVISION, *self.columns)

    def only(self, names: Sequence[str] | None) -> Table:
        """Itself with some of its columns, in its own order.

        Raises:
            ExportError: it has no such column.
        """
        if names is None:
            return self
        known = [column.name for column in self.all_columns]
        for name in names:
            if name not in known:
                raise ExportError(f"column {name!r}", f"{self.name} has none of that name", f"it has: {', '.join(known)}")
        return replace(self, columns=tuple([column for column in self.columns if column.name in names]))

    def document(self) -> dict[str, Any]:
        """The schema as JSON."""
        return {
            "table": self.name, "version": self.version, "about": self.about, "key": ["id"], "newest_by": "revision",
            "partition": {"name": "day", "about": "date of the row (UTC), the folder day=YYYY-MM-DD"},
            "columns": [
                {"name": one.name, "type": one.kind.value, "required": one.is_required, "about": one.about}
                for one in self.all_columns
            ],
        }  # fmt: skip
