"""Time-ordered ids: 48 bits of milliseconds, 80 bits of chance, 26 characters of Crockford's base 32.

A call's id is made before its first use and doubles as its idempotency key.
"""

from __future__ import annotations

import os
import threading
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]


_last = 0
_lock = threading.Lock()


def new_id() -> str:
    """A fresh id; ids made later by this process sort later, ids of other processes to the millisecond."""
    global _last  # noqa: PLW0603  one sequence a process is what makes ids of one millisecond sort
    number = (time.time_ns() // 1_000_000) << 80 | int.from_bytes(os.urandom(10), "big")
    with _lock:
        if number <= _last:
            number = _last + 1 + (number & 0xFFFF_FFFF)
        _last = number
    return encode_id(number)


def encode_id(number: int) -> str:
    """A 128-bit number as 26 characters that sort like the number."""
    pairs = _PAIRS
    return "".join([pairs[(number >> shift) & 1023] for shift in range(120, -1, -10)])
