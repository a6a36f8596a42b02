"""The one atomic step of admission, under an id that no other call has had."""

from __future__ import annotations

import logging

from runguard_core.errors import AlreadyVoidedError, ConflictingEntryError
from runguard_core.guard._candidate import Candidate
from runguard_core.guard._engine import Engine
from runguard_core.ids import new_id
from runguard_core.ledger import Applied, CallDraft, Hold, Refusal, Reserved

_log = logging.getLogger("runguard")
_EXISTS = Applied.EXISTS


def set_aside(engine: Engine, it: Candidate, draft: CallDraft, holds: tuple[Hold, ...]) -> Reserved | Refusal:
    """Reserve; the same call said twice while it is in flight here is one call.

    Under an id that the ledger knows from another one (LangChain's `run_id`, given twice) a call would pass uncounted: it gets
    its own.
    """
    expires_at = it.at + engine.hold_time
    try:
        found = engine.store.reserve(draft, holds, expires_at=expires_at, owner=engine.owner)
        if isinstance(found, Refusal) or found.applied is not _EXISTS or it.call_id in engine.pending:
            return found
    except (ConflictingEntryError, AlreadyVoidedError) as error:
        _log.warning("RunGuard: %s; this call is entered under an id of its own", error)
    it.call_id = draft.id = new_id()
    return engine.store.reserve(draft, holds, expires_at=expires_at, owner=engine.owner)
