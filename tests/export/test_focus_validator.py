"""How the validator's reports are judged; `make focus` runs the validator itself."""

from __future__ import annotations

import pytest

from tests.export.focus_validator import unexplained

HEAD = "=== Validation Results ===\nTotal: 578 | Pass: {} | Fail: {} | Skipped: 336\n"
CONTRADICTION = "❌ InvoiceId-C-005-C: FAIL  (violations=522, msg=InvoiceId MUST NOT be NULL., 5.3ms)\n"
OTHER = "❌ ListCost-C-009-C: FAIL  (violations=2, msg=..., 5.3ms)\n"


@pytest.mark.parametrize(
    ("report", "count"),
    [
        (HEAD.format(241, 1) + CONTRADICTION, 0),
        (HEAD.format(242, 0), 0),
        (HEAD.format(240, 2) + CONTRADICTION + OTHER, 1),
        (HEAD.format(240, 2) + CONTRADICTION, 1),
        (HEAD.format(0, 0), 1),
        ("Traceback (most recent call last)", 1),
    ],
)  # fmt: skip
def test_only_failures_that_are_explained_pass(report: str, count: int) -> None:
    """A report without rules, or that counts more failures than it names, does not."""
    assert len(unexplained(report)) == count
