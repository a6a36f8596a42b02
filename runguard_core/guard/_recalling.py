"""Histories after a restart: what the ledger knows of a run that this process sees for the first time.

Kept by the ledger are signature, turn, result mark with its kind of answer, and error of every tool call. Lost are the sketches
of arguments and the marks of failures that results only spoke of: rows of near duplicates, and of failures that were told
and not raised, begin again. A call still in flight in another process is no evidence.
"""

from __future__ import annotations

import logging

from runguard_core.attribution import Attribution
from runguard_core.calls import CallKind
from runguard_core.detectors import MAX_STEPS, Step, Watch, recalled
from runguard_core.errors import StoreError
from runguard_core.guard._engine import Engine
from runguard_core.ledger import CallFilter, CallRecord, CallState

_log = logging.getLogger("runguard")
#: Calls read; model calls are among them.
_MAX_CALLS = 4 * MAX_STEPS


def recall(engine: Engine, watch: Watch, who: Attribution) -> None:
    """Play the run's settled tool calls of this agent instance into its watch; one question to the store, nothing is raised."""
    if who.run is None or engine.store.url.startswith("memory:"):
        return  # digests in a ledger in memory are made under a key that lives as long as its guard
    try:
        calls = engine.store.calls(CallFilter(app=who.app, run=who.run, limit=_MAX_CALLS))
    except StoreError as error:
        _log.warning("RunGuard could not read the past of run %s; its history begins here: %s", who.run, error)
        return
    key = who.instance or who.agent
    for call in calls:
        if call.kind is CallKind.TOOL and (call.attribution.instance or call.attribution.agent) == key:
            _play(engine, watch, call)


def _play(engine: Engine, watch: Watch, call: CallRecord) -> None:
    settled = call.settlement
    if call.signature is None or settled is None or call.state is CallState.VOIDED:
        return
    step = Step(call.name, call.signature, turn=call.attribution.turn or 0)
    watch.recall(step, recalled(call.name, settled.result_hash, settled.error, engine.fingerprint))
