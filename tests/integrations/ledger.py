"""What the tests of every framework ask of a ledger."""

from __future__ import annotations

from runguard_core import CallFilter, CallRecord, Guard


def calls(guard: Guard, kind: str = "model") -> list[CallRecord]:
    """The ledger's calls of a kind, once what was put off is done."""
    guard.flush()
    return [call for call in guard.store.calls(CallFilter()) if call.kind == kind]


def states(guard: Guard) -> list[str]:
    """How the ledger's model calls stand, sorted."""
    return sorted(call.state.value for call in calls(guard))


def tokens(guard: Guard) -> tuple[int, int]:
    """Input and output tokens of the whole ledger."""
    usages = [call.settlement.usage for call in calls(guard) if call.settlement and call.settlement.usage]
    return sum(u.input_tokens for u in usages), sum(u.output_tokens for u in usages)


def certainty(guard: Guard) -> list[str]:
    """How good every posted charge is."""
    return [call.settlement.certainty.value for call in calls(guard) if call.settlement and call.state.value == "posted"]
