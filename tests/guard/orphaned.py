"""A program that opens a sub-agent, spends two cents of its part, and waits to be killed. Run by test_children_everywhere.py."""

from __future__ import annotations

import sys

from runguard_core import Guard
from tests.guard.shared_stores import opened
from tests.guard.spending import CENT, spend

guard = Guard(app="t", store=opened(sys.argv[1]), daily_budget_usd="0.20", prices=CENT, hold_seconds=600)
with guard.session("s") as session, session.child("0.15 USD", name="researcher"):
    spend(guard, 2)
    print("ready", flush=True)
    sys.stdin.read()
