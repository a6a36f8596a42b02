"""`Outages`: those that wait for their turn behind a store that does not answer hear of it at once."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from runguard_core.errors import StoreUnavailableError


class Outages:
    """What failed last, and when.

    One thread at a time asks the store. While it does not answer each would wait for a timeout, one after the other: the
    twentieth for twenty of them. So what failed after a thread came to wait has failed for it too.
    """

    def __init__(self, monotonic: Callable[[], float]) -> None:
        """Nothing has failed.

        Args:
            monotonic: the stopwatch, seconds.
        """
        self._monotonic = monotonic
        self._failed_at = float("-inf")
        self._failure: StoreUnavailableError | None = None

    @contextlib.contextmanager
    def since(self, came_at: float) -> Iterator[None]:
        """Around what a thread does when its turn has come.

        Raises:
            StoreUnavailableError: the store failed somebody else since then.
        """
        failure = self._failure
        if failure is not None and self._failed_at > came_at:
            raise StoreUnavailableError(failure.store, failure.reason, failure.way_out)
        try:
            yield
        except StoreUnavailableError as error:
            self._failed_at, self._failure = self._monotonic(), error
            raise
