"""From what pydantic found to one sentence in the words of the file."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Any, get_args, get_origin

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from runguard_core.errors import PolicyError
from runguard_core.policy._schema import PolicyFile
from runguard_core.policy._table import Table


def first_mistake(error: ValidationError, raw: Mapping[str, Any], file: str) -> PolicyError:
    """The mistake nearest to what the user wrote."""
    found = error.errors(include_url=False)
    first = next((e for e in found if e["type"] == "extra_forbidden"), found[0])
    # where one of several shapes may stand, the one that was meant is the one that fits furthest
    first = max((e for e in found if e["loc"][:1] == first["loc"][:1]), key=lambda e: len(_place(e, raw)))
    place = _place(first, raw)
    key = ".".join(str(part) for part in place) or "(file)"
    if first["type"] == "extra_forbidden":
        known = _keys_at(place)
        near = get_close_matches(str(place[-1]), known, n=1, cutoff=0.6)
        hint = f"; did you mean {near[0]!r}?" if near else f"; known: {', '.join(known)}"
        return PolicyError(file=file, key=key, expected=f"unknown key{hint}")
    if first["type"] == "missing":
        return PolicyError(file=file, key=key, expected="expected a value, there is none")
    wanted = " or ".join(dict.fromkeys(_wanted(e) for e in found if _place(e, raw) == place))
    return PolicyError(file=file, key=key, expected=f"expected {wanted}, got {first['input']!r:.80}")


#: What belongs there, as one would say it of a file.
_PLAIN = {
    "model_type": "a table", "dict_type": "a table", "list_type": "a list", "string_type": "text", "bool_type": "true or false",
    "int_type": "a whole number", "float_type": "a number",
}  # fmt: skip


def _wanted(error: ErrorDetails) -> str:
    return _PLAIN.get(error["type"], error["msg"].removeprefix("Input should be ").removeprefix("a valid "))


def _place(error: ErrorDetails, raw: Any) -> tuple[int | str, ...]:
    """The keys of the file that lead there: pydantic also names the shapes it tried."""
    place: list[int | str] = []
    here = raw
    for part in error["loc"]:
        if isinstance(here, dict) and part in here:
            here = here[str(part)]
        elif isinstance(here, list) and isinstance(part, int) and part < len(here):
            here = here[part]
        elif not (error["type"] == "missing" and part is error["loc"][-1]):
            continue
        place.append(part)
    return tuple(place)


def _keys_at(place: Sequence[int | str]) -> list[str]:
    """The keys that belong where an unknown one stands, by the shape of what it stands in."""
    shape: Any = PolicyFile
    for part in place[:-1]:
        shape = _inside(shape, part)
    table = _table(shape)
    top = ["env", "extends"] if table is PolicyFile else []
    return sorted([*table.model_fields, *top]) if table is not None else top


def _inside(shape: Any, part: int | str) -> Any:
    """The shape of one element, value or field."""
    if get_origin(shape) in {list, dict}:
        return get_args(shape)[-1]
    table = _table(shape)
    field = table.model_fields.get(str(part)) if table is not None else None
    return None if field is None else field.annotation


def _table(shape: Any) -> type[Table] | None:
    """The table a shape is, or may be."""
    arms = [shape, *get_args(shape)] if get_origin(shape) not in {list, dict} else []
    return next((arm for arm in arms if isinstance(arm, type) and issubclass(arm, Table)), None)
