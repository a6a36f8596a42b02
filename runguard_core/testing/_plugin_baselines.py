"""The committed token baselines of tests: one JSON file, one line a test, sorted, so that a change reads well in a review."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from runguard_core.errors import PolicyError
from runguard_core.testing._plugin_costs import Baseline


def read_baselines(file: Path) -> dict[str, Baseline]:
    """By test; empty where there is no file.

    Raises:
        PolicyError: the file is damaged.
    """
    try:
        found = json.loads(file.read_text("utf-8")) if file.exists() else {}
        return {name: Baseline(tokens=row["tokens"], turns=row["turns"], usd=str(row["usd"])) for name, row in found.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        expected = f'expected {{"TEST": {{"tokens": 1, "turns": 1, "usd": "0"}}}}, or no file at all ({error})'
        raise PolicyError(file=str(file), key="(file)", expected=expected) from None


def write_baselines(file: Path, found: Mapping[str, Mapping[str, Any]]) -> None:
    """Replace the baselines of the tests in `found` (by test, as JSON values); others stay."""
    rows: dict[str, Mapping[str, Any]] = {name: asdict(row) for name, row in read_baselines(file).items()}
    rows |= found
    lines = ",\n".join(f"  {json.dumps(name, ensure_ascii=False)}: {json.dumps(rows[name])}" for name in sorted(rows))
    file.write_text(f"{{\n{lines}\n}}\n", encoding="utf-8")
