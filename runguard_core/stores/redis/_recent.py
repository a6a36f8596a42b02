"""What this process has said lately, to say it again to a primary that may not have heard it.

A replica that takes over may lack the last verbs that the old primary had answered, and a server that comes back after a power
cut lacks what its append-only file had not on the disk. Every verb may be said twice, so what was said in the last seconds is.
"""

from __future__ import annotations

import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from redis.exceptions import ResponseError

from runguard_core.stores.redis._scripts import script
from runguard_core.values import value

#: How far back: replicas lag by milliseconds, an append-only file by two seconds.
REMEMBERED_SECONDS = 10.0
#: At most so many words of verbs, some tens of megabytes: a plain verb has about fifteen, a batch of leases as many a call.
MOST_WORDS = 300_000


@value()
class Said:
    """A verb that the server has answered. `words` gives it without the limits that it has passed already."""

    verb: str
    keys: Sequence[str]
    words: Callable[[], Sequence[object]]
    word_count: int = 15


class Recent:
    """The last verbs of this process; a forked child begins with none."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self.start_afresh()
        _every.add(self)

    def start_afresh(self) -> None:
        """Forget everything, the lock of a parent included."""
        self._said: deque[tuple[float, Said]] = deque()
        self._word_count = 0
        #: Held while verbs are said again; whoever connects meanwhile waits.
        self.lock = threading.RLock()

    def add(self, said: Said) -> None:
        """Remember a verb."""
        now = self._monotonic()
        with self.lock:
            self._said.append((now, said))
            self._word_count += said.word_count
            while self._said[0][0] < now - REMEMBERED_SECONDS or (self._word_count > MOST_WORDS and len(self._said) > 1):
                self._word_count -= self._said.popleft()[1].word_count

    def all(self) -> list[Said]:
        """Those of the last seconds, in order."""
        since = self._monotonic() - REMEMBERED_SECONDS
        return [said for at, said in list(self._said) if at >= since]


def say_again(connection: Any, recent: Sequence[Said]) -> int:
    """Say verbs again on a fresh connection, in order; how many the server took or had already."""
    for verb in dict.fromkeys(said.verb for said in recent):
        connection.send_command("SCRIPT", "LOAD", script(verb).text)
        connection.read_response()
    taken = 0
    for said in recent:
        connection.send_command("EVALSHA", script(said.verb).digest, len(said.keys), *said.keys, *said.words())
        try:
            answer = connection.read_response()
        except ResponseError as error:  # a limit of memory, a slot that is elsewhere: the rest may still be taken
            answer = [str(error)]
        taken += answer[0] in {"CREATED", "EXISTS", "LATE", "DONE"}
    return taken


_every: weakref.WeakSet[Recent] = weakref.WeakSet()


def _after_fork() -> None:
    for recent in tuple(_every):
        recent.start_afresh()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
