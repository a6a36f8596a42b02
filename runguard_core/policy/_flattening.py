"""A policy as pairs of key and value: for what differs, and for the record of changes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from hashlib import sha256
from typing import Any

#: Tables and keys whose values may hold addresses, tokens and passwords: the record keeps digests of them.
_SECRET = ("alerts.", "billing.", "contacts.", "store")
_CHANNELS = ".channels"
_DIGEST_CHARS = 8


def flat(tables: Mapping[str, Any], path: str = "") -> Iterator[tuple[str, Any]]:
    """Every value by the path of its key; entries of lists by their names. False is as good as not there."""
    for key, value in tables.items():
        name = f"{path}{key}"
        if isinstance(value, list) and value and all(isinstance(item, dict) and "name" in item for item in value):
            yield from flat({str(item["name"]): item for item in value}, f"{name}.")
        elif isinstance(value, dict) and value:
            yield from flat(value, f"{name}.")
        elif value is not False and value not in (None, [], {}) and not (path.startswith("budgets.") and key == "name"):
            yield name, value


def recorded_keys(tables: Mapping[str, Any]) -> dict[str, Any]:
    """What the ledger's record of policies keeps; a secret is told from another one, and from nothing, but not read."""
    return {key: _digest(value) if key.startswith(_SECRET) or key.endswith(_CHANNELS) else value for key, value in flat(tables)}


def _digest(value: Any) -> str:
    return f"not kept, #{sha256(repr(value).encode('utf-8', 'replace')).hexdigest()[:_DIGEST_CHARS]}"
