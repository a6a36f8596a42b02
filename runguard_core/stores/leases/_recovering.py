"""Owners that are gone: who can say so, and what becomes of what they had."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from runguard_core.errors import StoreError
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
            try:
                found += _recover(leases, owner)
            except StoreError:
                raise
            except OSError as error:  # a journal that cannot be opened now can be later
                _log.debug("RunGuard could not open %s: %s", owner.journal, error)
            except Exception:  # noqa: BLE001  one journal that no store takes must not close the ledger to everybody
                _log.exception("RunGuard could not close the books of %s; its journal stays: %s", owner.id, owner.journal)
        leases.recovered += found
    return found


def _recover(leases: Leases, owner: Owner) -> tuple[CallRecord, ...]:
    host = leases.host
    is_late = owner.deadline <= host.now()
    if owner.boot_id != host.boot_id():
        # the machine was started anew (the end of its journals may be gone), or it is another one
        return _give_up(leases, owner) if is_late or owner.host == host.place(leases.folder) else ()
    remains, is_ours = _claim(leases, owner.journal)
    if isinstance(remains, Remains):
        try:
            return _replay(leases, owner, remains, is_ours=is_ours)
        finally:
            remains.close()
    # a file that is not there proves nothing: it may be in another container, or deleted under a process that lives
    return _give_up(leases, owner) if remains is not Whose.HELD and is_late else ()


def _claim(leases: Leases, journal: str) -> tuple[Remains | Whose, bool]:
    """The journal beside this ledger, which may have been moved or mounted elsewhere, else where it was made.

    Only the first is ours to delete: who reads a copy of a ledger leaves the original's journals alone.
    """
    beside = str(Path(leases.folder) / Path(journal).name)
    remains = leases.host.claim(beside)
    if remains is Whose.MISSING and beside != journal:
        return leases.host.claim(journal), False
    return remains, True


def _give_up(leases: Leases, owner: Owner) -> tuple[CallRecord, ...]:
    """Its journal cannot be read. Asked again: whoever recovers an owner deletes its journal afterwards."""
    latest = _latest(leases, owner)
    if latest is None:
        return ()
    return _close(leases, latest, Journaled(latest.applied, (), is_sound=False))


def _latest(leases: Leases, owner: Owner) -> Owner | None:
    found = next((one for one in leases.backend.owners() if one.id == owner.id), None)
    return found if found is not None and found.journal == owner.journal else None


def _replay(leases: Leases, owner: Owner, remains: Remains, *, is_ours: bool) -> tuple[CallRecord, ...]:
    """Its journal is ours now; how far it has been applied is asked again, for it may have told the book before it died."""
    latest = _latest(leases, owner)
    if latest is None:
        return ()
    found = _close(leases, latest, read_journal(remains.content, latest.applied))
    if is_ours:
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
