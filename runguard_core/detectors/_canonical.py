"""One text for equal values: canonical JSON that bounds its own work and raises for nothing.

Values that JSON does not know are told apart by type and fields, else by type and `repr` without addresses: two dates,
two decimals or two paths are two different arguments.
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from hashlib import blake2b
from typing import Any

_MAX_DEPTH = 50
#: Values looked at in all. Shared and circular structures would unfold to exponentially many.
_MAX_VALUES = 20_000
_MAX_CHARS = 200_000
#: Of all texts of one value together; of what is longer than there is room for only the digest is looked at.
_MAX_TOTAL_CHARS = 1_000_000
#: A shorter text is no longer than the digest of its end.
_SHORT_CHARS = 64
#: Longer integers have no decimal text (`sys.set_int_max_str_digits`).
_MAX_INT_BITS = 10_000

_ADDRESS = re.compile(r"\bat 0x[0-9a-fA-F]+\b")
#: A digest inside a result must not look like an id, which would be taken out of it.
_LETTERS = str.maketrans("0123456789abcdef", "ghijklmnopqrstuv")


def canonical(value: Any, volatile: frozenset[str]) -> str:
    """Canonical JSON: keys sorted, volatile ones left out, white space folded, bounded in depth and size; never raises."""
    try:
        plain = _Unfolding(volatile).plain(value, _MAX_DEPTH)
        return json.dumps(plain, ensure_ascii=True, sort_keys=True, separators=(",", ":"))
    except Exception:  # noqa: BLE001  a caller's object may raise anything, a stack near its limit RecursionError
        return f"<{type(value).__name__}>"


def bounded(text: str, most: int = _MAX_CHARS) -> str:
    """The text, its end replaced by length and digest where it is too long to work on: longer than `most` characters."""
    if len(text) <= most:
        return text
    rest = blake2b(text[most:].encode("utf-8", "replace"), digest_size=16).hexdigest()
    return f"{text[:most]}<{len(text)}:{rest.translate(_LETTERS)}>"


def squeezed(text: str) -> str:
    """White space folded."""
    return " ".join(text.split())


class _Unfolding:
    """One value on its way to JSON types, with the numbers of values and of characters it may still look at."""

    __slots__ = ("_left", "_room", "_volatile")

    def __init__(self, volatile: frozenset[str]) -> None:
        self._volatile, self._left, self._room = volatile, _MAX_VALUES, _MAX_TOTAL_CHARS

    def plain(self, value: Any, depth: int) -> Any:
        """JSON types only; what raises when looked at is its type."""
        self._left -= 1
        try:
            return self._leaf(value) if type(value) in _LEAVES else self._nested(value, depth)
        except Exception:  # noqa: BLE001  `__repr__`, `__getattribute__`, `items`: all of it is the caller's code
            return f"<{type(value).__name__}>"

    def _leaf(self, value: Any) -> Any:
        if isinstance(value, str):
            if len(value) > _SHORT_CHARS:
                value = bounded(value, min(self._room, _MAX_CHARS))
                self._room = max(0, self._room - len(value))
            return _folded(value)
        if isinstance(value, float) and not math.isfinite(value):
            return f"<{value}>"
        if isinstance(value, int) and value.bit_length() > _MAX_INT_BITS:
            return bounded(hex(value))
        return value

    def _nested(self, value: Any, depth: int) -> Any:
        if isinstance(value, (str, int, float)):
            return self._leaf(value)
        if depth == 0 or self._left < 0:
            return "<deep>"
        if isinstance(value, Mapping):
            return self._fields(value.items(), depth)
        if isinstance(value, (list, tuple)):
            return self._items(value, depth)
        if isinstance(value, (set, frozenset)):
            return sorted(json.dumps(item, sort_keys=True) for item in self._items(value, depth))
        return self._other(value, depth)

    def _fields(self, items: Iterable[tuple[Any, Any]], depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for key, value in items:
            if self._left < 0:
                found["<more>"] = True
                break
            name = key if isinstance(key, str) else _shown(key)
            if _key(name) not in self._volatile:
                found[_folded(name)] = self.plain(value, depth - 1)
        return found

    def _items(self, values: list[Any] | tuple[Any, ...] | set[Any] | frozenset[Any], depth: int) -> list[Any]:
        found = []
        for value in values:
            if self._left < 0:
                found.append(f"<{len(values)}>")
                break
            found.append(self.plain(value, depth - 1))
        return found

    def _other(self, value: Any, depth: int) -> Any:
        if isinstance(value, (bytes, bytearray, memoryview)):
            return f"<bytes {bounded(bytes(value).decode('latin-1'))}>"
        fields = getattr(value, "__dict__", None)
        if isinstance(fields, dict) and fields:
            return {"<type>": type(value).__name__, **self._fields(fields.items(), depth)}
        return _shown(value)


_LEAVES = frozenset({str, int, float, bool, type(None)})


def _shown(value: Any) -> str:
    """Type and `repr`; an address in it would differ every time."""
    try:
        text = _folded(repr(value))
    except Exception:  # noqa: BLE001  the caller's code
        text = ""
    return f"<{type(value).__name__} {_ADDRESS.sub('~', text)}>"


def _key(key: str) -> str:
    return key.lower().replace("_", "").replace("-", "")


def _folded(text: str) -> str:
    text = bounded(text)
    if not text.isascii():
        text = unicodedata.normalize("NFC", text)
    return squeezed(text)
