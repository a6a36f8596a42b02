"""Time-ordered ids: 48 bits of milliseconds, 80 bits of chance, 26 characters of Crockford's base 32.

A call's id is made before its first use and doubles as its idempotency key. Ids that a process makes within one millisecond
share their chance and count in its last ten bits, so that most of them cost a clock reading and a concatenation.
"""

from __future__ import annotations

import os
import random
import threading
import time

_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_PAIRS = [a + b for a in _ALPHABET for b in _ALPHABET]
_ENDING_BITS = 10


class _Block:
    """The ids that begin alike: one for each ending, handed out once (`next` of a list's iterator is atomic)."""

    __slots__ = ("endings", "millis", "start")

    def __init__(self, millis: int, number: int) -> None:
        self.millis = millis
        self.start = encode_id(number)[:-2]
        self.endings = iter(_PAIRS)


def new_id() -> str:
    """A fresh id; ids made later by this process sort later, ids of other processes to the millisecond."""
    millis = time.time_ns() // 1_000_000
    block = _block
    if block.millis == millis:
        for ending in block.endings:
            return block.start + ending
    return _open_block(millis)


def _open_block(millis: int) -> str:
    """The first id of a new block, which sorts behind every block before it."""
    global _block, _last  # noqa: PLW0603  one sequence a process is what makes ids of one millisecond sort
    number = millis << 80 | _chance.getrandbits(80)
    with _lock:
        if number <= _last:
            number = _last + (1 + (number & 0xFFFF) << _ENDING_BITS)
        number = number >> _ENDING_BITS << _ENDING_BITS
        _last = number | ((1 << _ENDING_BITS) - 1)
        made = _block = _Block(millis, number)
        return made.start + next(made.endings)


def encode_id(number: int) -> str:
    """A 128-bit number as 26 characters that sort like the number."""
    pairs = _PAIRS
    return "".join([pairs[(number >> shift) & 1023] for shift in range(120, -1, -10)])


def _forget_block() -> None:
    """The child of a fork shares no block and no chance with its parent, else both would make the same ids; nor a held lock."""
    global _block, _lock
    _block, _lock = _Block(-1, 0), threading.Lock()
    _chance.seed()


#: Of our own, seeded by the system: a program that seeds `random` for its own ends must not make two processes alike.
_chance = random.Random()  # noqa: S311  ids must not repeat; nobody is kept from guessing them
_last = 0
_lock = threading.Lock()
_block = _Block(-1, 0)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_block)
