"""One policy in several versions: a key set to other values, and what differs between two files."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from runguard_core.errors import PolicyError
from runguard_core.policy._flattening import flat
from runguard_core.policy._policy import Policy, checked

_SPAN = re.compile(r"^\s*(\d+(?:\.\d+)?)\s*\.\.\s*(\d+(?:\.\d+)?)(?:\s*\.\.\s*(\d+(?:\.\d+)?))?(\s*[^\d.\s].*)?$")
_MOST_VALUES = 60
_EXPECTED = '"KEY=2..6", "KEY=0.1..1.0 USD" (steps of the last digit), "KEY=1..9..2" (steps of 2) or "KEY=3,5,8"'


def with_value(policy: Policy, key: str, value: str) -> Policy:
    """The policy with one key set.

    Args:
        policy: the one that holds. key: its path, such as "detectors.repeat.stop_after" or "budgets.NAME.limit".
        value: as the file would have it, as text.

    Raises:
        PolicyError: no such key or budget, or a value that cannot stand there.
    """
    raw = policy.content.model_dump(mode="json")
    parts = key.split(".")
    place: Any = raw
    for depth, part in enumerate(parts[:-1]):
        place = _step(place, part, ".".join(parts[: depth + 1]))
    if not isinstance(place, dict):
        raise PolicyError(file=policy.file or "", key=key, expected="the path of a value, this one leads through a value")
    place[parts[-1]] = value
    return checked(raw, policy.file or "", from_text=True)


def _step(place: Any, part: str, key: str) -> Any:
    if isinstance(place, list):
        named = {str(table.get("name")): table for table in place if isinstance(table, dict)}
        if part not in named:
            raise PolicyError(key=key, expected=f"no such budget; known: {', '.join(named) or 'none'}")
        return named[part]
    if not isinstance(place, dict):
        raise PolicyError(key=key, expected="the path of a value, this one leads through a value")
    return place.setdefault(part, {})


def sweep_values(text: str) -> tuple[str, list[str]]:
    """The key and the values of "KEY=VALUES".

    Raises:
        PolicyError: not written so, or too many values.
    """
    key, equals, wanted = text.partition("=")
    if not equals or not key.strip() or not wanted.strip():
        raise PolicyError(key="--sweep", expected=f"expected {_EXPECTED}, got {text!r}")
    span = _SPAN.match(wanted)
    found = _span(span) if span else [value.strip() for value in wanted.split(",") if value.strip()]
    if ".." in wanted and span is None:
        raise PolicyError(key="--sweep", expected=f"expected {_EXPECTED}, got {text!r}")
    if not 0 < len(found) <= _MOST_VALUES:
        raise PolicyError(key="--sweep", expected=f"expected 1 to {_MOST_VALUES} values, got {len(found)}: name a wider step")
    return key.strip(), found


def _span(span: re.Match[str]) -> list[str]:
    low, high, step, unit = span.groups()
    exponent = Decimal(low).as_tuple().exponent
    width = Decimal(step) if step else Decimal(1).scaleb(exponent if isinstance(exponent, int) else 0)
    if width <= 0 or Decimal(high) < Decimal(low):
        return []
    count = int((Decimal(high) - Decimal(low)) / width) + 1
    return [f"{Decimal(low) + width * index}{unit or ''}" for index in range(min(count, _MOST_VALUES + 1))]


@dataclass(frozen=True, slots=True)
class Change:
    """One key that two policies differ in.

    Attributes:
        key: its path; old, new: the values as JSON, None where the key is not there.
    """

    key: str
    old: Any
    new: Any


def changes(old: Policy, new: Policy) -> list[Change]:
    """Every key whose value differs, defaults filled in; budgets are compared by name, and false is as good as not there."""
    before, after = dict(flat(old.content.model_dump(mode="json"))), dict(flat(new.content.model_dump(mode="json")))
    keys = [*before, *(key for key in after if key not in before)]
    return [Change(key, before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)]
