"""The metrics of a ledger, read once when a guard is made: limits that follow them are numbers before the first call."""

from __future__ import annotations

import logging
from pathlib import Path

from runguard_core.errors import StoreError
from runguard_core.events import METRIC_IMPORTED
from runguard_core.finops.planning import MetricBook, book_of
from runguard_core.ledger import EventFilter, Store
from runguard_core.stores import default_path, open_store

_log = logging.getLogger("runguard")


def metrics_of(store: Store, app: str) -> MetricBook:
    """What an app's metrics are, as a ledger tells."""
    return book_of(store.events(EventFilter(app=app, kinds=(METRIC_IMPORTED,))))


def metrics_at(store: Store | str | None, app: str) -> MetricBook:
    """The same for a store or its URL (None: the app's default ledger); none where it is not there or cannot be read."""
    if store is not None and not isinstance(store, str):
        return _tried(store, app)
    url = store or f"sqlite:///{default_path(app)}"
    path = url.partition("?")[0].removeprefix("sqlite:///")
    if url == "memory://" or (url.startswith("sqlite:///") and not Path(path).exists()):
        return MetricBook()
    try:
        opened = open_store(url if "leases=" in url else f"{url}{'&' if '?' in url else '?'}leases=off")
    except StoreError as error:
        return _unread(error)
    try:
        return _tried(opened, app)
    finally:
        opened.close()


def _tried(store: Store, app: str) -> MetricBook:
    try:
        return metrics_of(store, app)
    except StoreError as error:
        return _unread(error)


def _unread(error: StoreError) -> MetricBook:
    """The guard does no harm: without metrics the fallbacks hold."""
    _log.warning("limits that follow metrics stay at their fallbacks: %s", error)
    return MetricBook()
