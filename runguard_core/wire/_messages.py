"""Messages of a framework's, measured once: a transcript grows at its end, the rest need not be walked again."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Mapping
from typing import Any

from runguard_core.wire._prompts import Message, measure

_MAX_KNOWN = 20_000


class Messages:
    """Measures a framework's message objects for `read_prompt`, and remembers their sizes as long as they live."""

    def __init__(self, as_mapping: Callable[[Any], Mapping[str, Any]], content: str = "content") -> None:
        """None yet.

        Args:
            as_mapping: a message in OpenAI's format: role, content, name, tool_calls.
            content: the attribute that a changed message has another object in.
        """
        self._as_mapping, self._content = as_mapping, content
        self._known: dict[int, tuple[weakref.ref[Any], int, Message]] = {}

    def measure(self, message: Any, asked: Mapping[str, str]) -> Message:
        """The message's sizes; `asked`: names of the tools that earlier messages asked for, by the ids of the requests."""
        key, content = id(message), id(getattr(message, self._content, None))
        known = self._known.get(key)
        if known is not None and known[0]() is message and known[1] == content:
            return known[2]
        found = measure(self._as_mapping(message), asked)
        if len(self._known) >= _MAX_KNOWN:
            self._known.clear()
        self._known[key] = (weakref.ref(message), content, found)
        return found
