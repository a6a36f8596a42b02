"""What reports say of the ledgers that were shipped into the one they read: which are missing, which are late."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Annotated, Any

import typer

from runguard_core.cli._app import err
from runguard_core.cli._text import shown
from runguard_core.fleet import Judged, Standing, judge, stale
from runguard_core.stores import open_fleet

ExpectOption = Annotated[
    list[str] | None,
    typer.Option("--expect", help="A host that must have been shipped here lately, else the exit code is 1; repeat it."),
]


def standing(url: str, expected: Sequence[str] | None) -> list[Judged]:
    """How the ledgers shipped into the one at `url` stand; none for stores that take none in."""
    if not url.startswith(("sqlite:", "postgres")):
        return judge((), expected or (), datetime.now(UTC))
    fleet = open_fleet(url)
    try:
        return judge(fleet.sources(), expected or (), datetime.now(UTC))
    finally:
        fleet.close()


def say_standing(found: Sequence[Judged]) -> None:
    """Name those without which the sums above say too little, on standard error."""
    for one in stale(found):
        if one.standing is Standing.MISSING or one.source is None:
            what = "has never been shipped here"
        else:
            what = f"was shipped last at {one.source.shipped_at:%Y-%m-%d %H:%M} UTC"
        err.print(f"[yellow]{shown(one.name)} {what}[/]: its later spend is not in these sums.", soft_wrap=True)


def standing_json(one: Judged) -> dict[str, Any]:
    """A ledger of a fleet and how it stands."""
    source = one.source
    return {
        "name": one.name, "standing": one.standing.value, "ledger": source.ledger if source else None,
        "place": source.place if source else None, "line": source.line if source else None,
        "shipped_at": source.shipped_at.isoformat() if source else None,
    }  # fmt: skip
