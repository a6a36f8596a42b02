"""Ledgers that a command fills: opened for many verbs at a time."""

from __future__ import annotations

from runguard_core.ledger import Store
from runguard_core.stores import default_path, open_store, state_directory


def default_url(app_name: str) -> str:
    """The default ledger of an app, its folder made."""
    state_directory().mkdir(mode=0o700, parents=True, exist_ok=True)
    return f"sqlite:///{default_path(app_name)}"


def open_for_loading(url: str) -> Store:
    """The store of a URL without leases: they are for budgets, and what is loaded has no limits."""
    if url == "memory://" or "leases=" in url:
        return open_store(url)
    return open_store(f"{url}{'&' if '?' in url else '?'}leases=off")
