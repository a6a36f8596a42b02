"""Hundreds of KeyboardInterrupts at any instruction: no lock stays taken, and what is counted is at least what was sent."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.opening import FILES

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("kind", ["memory", *FILES])
def test_interrupts_anywhere_leave_no_lock_and_lose_no_spend(tmp_path: Path, kind: str) -> None:
    """What an interrupt leaves open expires and is charged; the next call works at once."""
    program = [sys.executable, "-m", "tests.faults.interrupted", kind, str(tmp_path / "l.db")]
    done = subprocess.run(program, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr
