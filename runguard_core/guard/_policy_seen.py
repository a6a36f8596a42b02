"""The policy that a ledger's programs run under: an event for each change, told once by whoever comes first."""

from __future__ import annotations

import getpass
import socket
from collections.abc import Mapping
from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

from runguard_core import events as ev
from runguard_core.ledger import Event, EventFilter

if TYPE_CHECKING:
    from runguard_core.guard._engine import Engine


def note_policy(engine: Engine) -> None:
    """Announce the policy of a file where the ledger saw another one last. Raises what the store raises.

    The change is named by the event before it and the new policy: of several processes that start together one tells it.
    """
    rules = engine.rules
    if not rules.policy_file or engine.store.url == "memory://":  # a ledger that ends with the process has no past to record
        return
    app = rules.defaults.app
    seen = engine.store.events(EventFilter(kinds=(ev.POLICY_CHANGED,), app=app, limit=1))
    last = seen[-1] if seen else None
    if last is not None and last.facts.get("hash") == rules.policy_hash:
        return
    said = _change(engine, last)
    if engine.store.announce([said]):
        engine.dispatcher.send([said])


def _change(engine: Engine, last: Event | None) -> Event:
    rules, app = engine.rules, engine.rules.defaults.app
    before: Mapping[str, Any] = last.facts.get("policy", {}) if last is not None else {}
    after = rules.policy_keys
    changed = sorted(key for key in {*before, *after} if before.get(key) != after.get(key))
    old = str(last.facts.get("hash", "")) if last is not None else ""
    many = "1 key" if len(changed) == 1 else f"{len(changed)} keys"
    message = f"{app} runs under policy {rules.policy_hash}" + (f" instead of {old}: {many} changed" if last is not None else "")
    made = ev.event(
        ev.POLICY_CHANGED, ev.NOTICE, message, engine.who(), engine.clock.now(), scope=f"policy of {app}", by=_user(),
        reason=rules.policy_file, host=socket.gethostname(), file=rules.policy_file, hash_before=old, hash=rules.policy_hash,
        before={key: before.get(key) for key in changed} if last is not None else None,
        after={key: after.get(key) for key in changed}, policy=dict(after),
    )  # fmt: skip
    about = "\0".join((app, last.id if last is not None else "", rules.policy_hash))
    return replace(made, id="policy-" + blake2b(about.encode("utf-8", "replace"), digest_size=16).hexdigest())


def _user() -> str:
    """Under whose account the program runs that saw it first."""
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"
