"""The bytes of a journal: a head, then records, each with its length and a checksum that knows its place.

Places are counted from the journal's first byte ever and only grow. When all of a journal is in the book its file is used again
from the start (a new *segment*): the head then says which place that is. A record of an earlier segment that still stands behind
the last one fails its checksum, because that includes the place.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from runguard_core.stores.leases._files import JournalFile

_HEAD = struct.Struct("<8sQI")
_MAGIC = b"RGLEASE1"
_FRAME = struct.Struct("<II")
_FRAME_BYTES = _FRAME.size
_MASK = 0xFFFFFFFF
#: How the record of a verb begins, unless it defines something.
_OPENING = b'["'
_pack, _crc = _FRAME.pack, zlib.crc32


class Journal:
    """The journal of this process.

    Attributes:
        end: the place behind the last record that counts; whoever keeps the verbs moves it.
        base: the place at which the present segment begins.
    """

    def __init__(self, file: JournalFile) -> None:
        """Begin the first segment."""
        self.file = file
        self._memory = file.memory
        self._room = len(file.memory) - _HEAD.size
        self.base = self.end = 0
        self._is_turning = False
        self._write_head(0)

    @property
    def path(self) -> str:
        """Where it is."""
        return self.file.path

    @property
    def is_half_full(self) -> bool:
        """Whether a new segment is due as soon as everything is in the book."""
        return self.end - self.base > self._room // 2

    def brim(self) -> int:
        """The place from which on records are no longer written without looking: a quarter is left for those in flight."""
        return self.base + self._room - self._room // 4

    def write(self, payload: bytes) -> int | None:
        """Put a record at the end; the place behind it, None when it does not fit. It counts once `end` has been moved."""
        if self._is_turning:  # an interrupt came between
            self.begin_segment()
        start, size = self.end, len(payload)
        at = _HEAD.size + start - self.base
        after = at + _FRAME_BYTES + size
        if after > _HEAD.size + self._room:
            return None
        self._memory[at:after] = _pack(size, _crc(payload, start & _MASK)) + payload
        return start + _FRAME_BYTES + size

    def begin_segment(self) -> None:
        """Use the file again from its start: all that is in it is in the book."""
        self._is_turning = True
        self._write_head(self.end)
        self.base = self.end
        self._is_turning = False

    def _write_head(self, base: int) -> None:
        plain = _MAGIC + base.to_bytes(8, "little")
        self._memory[: _HEAD.size] = plain + _crc(plain).to_bytes(4, "little")


def has_more(content: bytes, base: int, end: int) -> bool:
    """Whether a whole record of this segment stands somewhere behind the place where reading ended: the middle is damaged.

    A record that was being written when the process died has none behind it.
    """
    shift = base - _HEAD.size
    at = content.find(_OPENING, end - shift + 1)
    while at >= 0:
        start = at - _FRAME_BYTES
        size, checksum = _FRAME.unpack_from(content, start)
        payload = content[at : at + size]
        if len(payload) == size and _crc(payload, (start + shift) & _MASK) == checksum:
            return True
        at = content.find(_OPENING, at + 1)
    return False


def records(content: bytes) -> tuple[int | None, Iterator[tuple[bytes, int]]]:
    """Where the segment in a journal's bytes begins (None: no journal), and its records with the places behind them."""
    if len(content) < _HEAD.size:
        return None, iter(())
    magic, base, checksum = _HEAD.unpack_from(content)
    if magic != _MAGIC or _crc(content[: _HEAD.size - 4]) != checksum:
        return None, iter(())
    return base, _records(content, base)


def _records(content: bytes, base: int) -> Iterator[tuple[bytes, int]]:
    at, shift = _HEAD.size, base - _HEAD.size
    while at + _FRAME_BYTES <= len(content):
        size, checksum = _FRAME.unpack_from(content, at)
        after = at + _FRAME_BYTES + size
        payload = content[at + _FRAME_BYTES : after]
        if not size or len(payload) < size or _crc(payload, (at + shift) & _MASK) != checksum:
            return
        yield payload, after + shift
        at = after
