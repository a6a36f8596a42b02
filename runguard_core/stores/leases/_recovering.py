"""Owners that are gone: who can say so, and what becomes of what they had."""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runguard_core.ledger import CallRecord, LeaseVerb, Owner
from runguard_core.stores.leases._files import Remains, Whose
from runguard_core.stores.leases._reading import Journaled, read_journal
from runguard_core.stores.leases._settling import agreed

if TYPE_CHECKING:
    from runguard_core.stores.leases._leases import Leases

_log = logging.getLogger("runguard")


def recover_the_dead(leases: Leases) -> tuple[CallRecord, ...]:
    """Close the books of every owner that is gone; the calls that were in flight there, now assumed and in `Leases.recovered`.

    Raises:
        StoreError: the store cannot be asked.
    """
    found: tuple[CallRecord, ...] = ()
    with leases.flow:
        for owner in leases.backend.owners():
            if owner.id == leases.owner and leases.holdings is not None:
                continue
            with contextlib.suppress(OSError):  # a journal that cannot be opened now can be later
                found += _recover(leases, owner)
        leases.recovered += found
    return found


def _recover(leases: Leases, owner: Owner) -> tuple[CallRecord, ...]:
    host = leases.host
    if owner.boot_id != host.boot_id():
        # the machine was started anew (the end of its journals may be gone), or it is another one
        return _give_up(leases, owner) if owner.host == host.name or owner.deadline <= host.now() else ()
    remains = host.claim(owner.journal)
    if isinstance(remains, Remains):
        try:
            return _replay(leases, owner, remains)
        finally:
            remains.close()
    is_here = owner.host == host.name and str(Path(owner.journal).parent) == leases.folder
    if (remains is Whose.MISSING and is_here) or (remains is not Whose.HELD and owner.deadline <= host.now()):
        return _give_up(leases, owner)
    return ()


def _give_up(leases: Leases, owner: Owner) -> tuple[CallRecord, ...]:
    """Its journal cannot be read. Asked again: whoever recovers an owner deletes its journal afterwards."""
    latest = _latest(leases, owner)
    if latest is None:
        return ()
    return _close(leases, latest, Journaled(latest.applied, (), is_sound=False))


def _latest(leases: Leases, owner: Owner) -> Owner | None:
    found = next((one for one in leases.backend.owners() if one.id == owner.id), None)
    return found if found is not None and found.journal == owner.journal else None


def _replay(leases: Leases, owner: Owner, remains: Remains) -> tuple[CallRecord, ...]:
    """Its journal is ours now; how far it has been applied is asked again, for it may have told the book before it died."""
    latest = _latest(leases, owner)
    if latest is None:
        return ()
    found = _close(leases, latest, read_journal(remains.content, latest.applied))
    remains.remove()
    return found


def _close(leases: Leases, owner: Owner, journaled: Journaled) -> tuple[CallRecord, ...]:
    if not journaled.is_sound:
        _log.warning("RunGuard: the journal of %s (%s) is lost; what it had leased is charged", owner.id, owner.journal)

    def say(verbs: Sequence[LeaseVerb]) -> tuple[CallRecord, ...]:
        return leases.backend.recover(
            owner.id, journaled.end, verbs, is_lost=not journaled.is_sound, now=leases.host.now()
        )  # fmt: skip

    return agreed(leases.backend, journaled.verbs, say, {})
