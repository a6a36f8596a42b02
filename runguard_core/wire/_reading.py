"""A field of a mapping or of an object: clients hand over both."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any


def read(value: Any, key: str) -> Any:
    """A field of a mapping or an object; None when missing."""
    if value is None or type(value) is dict:  # nearly always; asking whether something is a mapping is dear
        return None if value is None else value.get(key)
    return value.get(key) if isinstance(value, Mapping) else getattr(value, key, None)


def reader(value: Any) -> Callable[[str], Any]:
    """`read` of one value that is asked for several fields."""
    return value.get if type(value) is dict else partial(read, value)


def text_of(value: Any) -> str | None:
    """A value that is text; None for every other."""
    return value if isinstance(value, str) else None


def written(value: Any) -> str:
    """A tool's arguments as the text that they travel as."""
    return value if isinstance(value, str) else "" if value is None else json.dumps(value, default=str)
