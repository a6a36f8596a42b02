"""`require` and `[attribution]` of the policy file: what calls must say of themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from pydantic import Field

from runguard_core.guard import AttributionRule, OnWrong
from runguard_core.policy._table import Table

_OnWrong = Literal["file", "refuse"]


class AttributionTable(Table):
    """`[attribution.DIMENSION]`: the dimension is required, as by `require`."""

    allowed: list[str] = Field(default=[], description="the values there are; none: any")
    on_missing: _OnWrong = Field(default="file", description="a call without it is filed as unattributed, or refused")
    on_other: _OnWrong = Field(default="file", description="another value is filed as it came and reported, or refused")


def attribution_rules(require: Iterable[str], tables: Mapping[str, AttributionTable]) -> tuple[AttributionRule, ...]:
    """One rule for each required dimension, in the order of the file."""
    found = {name: AttributionRule(dimension=name) for name in require}
    for name, table in tables.items():
        found[name] = AttributionRule(
            dimension=name,
            allowed=frozenset(table.allowed),
            on_missing=OnWrong(table.on_missing),
            on_other=OnWrong(table.on_other),
        )
    return tuple(found.values())
