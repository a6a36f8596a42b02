"""`value`: a frozen dataclass for the type checker that costs no more than a plain one to make.

`@dataclass(frozen=True)` sets each field through `object.__setattr__`, four times the price of an assignment. What is made for
every call (holds, balances, quotes, outcomes) is a `value`: the type checker forbids changing it, the interpreter is not asked.
Everything else is a frozen dataclass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar, dataclass_transform

T = TypeVar("T")


@dataclass_transform(frozen_default=True)
def value(*, kw_only: bool = False) -> Callable[[type[T]], type[T]]:
    """A slotted, comparable, hashable dataclass, frozen by the type checker only."""
    return dataclass(slots=True, unsafe_hash=True, kw_only=kw_only)
