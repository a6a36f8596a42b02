"""`[calendar]` of the policy file: when sprints and quarters begin."""

from __future__ import annotations

from datetime import date, tzinfo

from pydantic import Field

from runguard_core.finops import Calendar
from runguard_core.policy._table import Table


class CalendarTable(Table):
    """`[calendar]`; its time zone is the policy's `timezone`."""

    sprint_start: date = Field(default=date(2026, 1, 5), strict=False, description="first day of any sprint")
    sprint_days: int = Field(default=14, ge=1, le=92)
    year_starts_in: int = Field(default=1, ge=1, le=12, description="month from which quarters are counted")


def calendar_of(table: CalendarTable, zone: tzinfo) -> Calendar:
    """As reviews take it."""
    return Calendar(
        zone=zone, sprint_start=table.sprint_start, sprint_days=table.sprint_days, year_starts_in=table.year_starts_in
    )
