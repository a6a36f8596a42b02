"""Bugs put into the production code while it runs: another text of a module, compiled, function by function."""

from __future__ import annotations

import gc
import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import CodeType, FunctionType, ModuleType


@dataclass(frozen=True)
class Bug:
    """A mistake that somebody could make.

    Attributes:
        name: for people.
        module: where.
        old, new: the text of it, and what it becomes; the old one must be there exactly once.
        breaks: which promise.
        seeds: within how many seeds from `start` the simulator must find it; None where it cannot, for the reason in `breaks`.
    """

    name: str
    module: ModuleType
    old: str
    new: str
    breaks: str
    seeds: int | None = 40
    start: int = 0


@contextmanager
def planted(bug: Bug) -> Iterator[None]:
    """The bug is in the code inside the block."""
    source = inspect.getsource(bug.module)
    if source.count(bug.old) != 1:
        raise LookupError(f"{bug.name}: {bug.module.__name__} has its text {source.count(bug.old)} times: {bug.old!r}")
    file = bug.module.__file__ or ""
    before = _codes(compile(source, file, "exec"))
    after = _codes(compile(source.replace(bug.old, bug.new), file, "exec"))
    changed = {name for name, code in after.items() if not _same(code, before.get(name))}
    functions = [
        found for found in gc.get_objects() if isinstance(found, FunctionType) and found.__module__ == bug.module.__name__
    ]
    put_back = []
    constants = _constants(bug, source)
    try:
        for name, value in constants.items():
            setattr(bug.module, name, value[1])
        for function in functions:
            name = function.__code__.co_qualname
            if name in changed and function.__code__.co_filename == file:
                put_back.append((function, function.__code__))
                function.__code__ = after[name]
        if not put_back and not constants:
            raise LookupError(f"{bug.name}: no function of {bug.module.__name__} is changed by it")
        yield
    finally:
        for function, code in put_back:
            function.__code__ = code
        for name, value in constants.items():
            setattr(bug.module, name, value[0])


def _constants(bug: Bug, source: str) -> dict[str, tuple[str, str]]:
    """Texts that the module keeps by name and that the bug changes: as they are, and as they become."""
    names = {
        "__name__": f"{bug.module.__name__}_with_a_bug",
        "__file__": bug.module.__file__,
        "__package__": bug.module.__package__,
    }
    exec(compile(source.replace(bug.old, bug.new), bug.module.__file__ or "", "exec"), names)
    known = {name: value for name, value in vars(bug.module).items() if isinstance(value, str) and not name.startswith("__")}
    return {name: (value, str(names[name])) for name, value in known.items() if names.get(name) != value}


def _codes(code: CodeType) -> dict[str, CodeType]:
    """Every function of a module, by its qualified name."""
    found = {}
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            found[constant.co_qualname] = constant
            found |= _codes(constant)
    return found


def _same(one: CodeType, other: CodeType | None) -> bool:
    """Whether two codes do the same, wherever their lines are."""
    if other is None or one.co_code != other.co_code or one.co_names != other.co_names:
        return False
    consts = [[c for c in code.co_consts if not isinstance(c, CodeType)] for code in (one, other)]
    inner = [[c for c in code.co_consts if isinstance(c, CodeType)] for code in (one, other)]
    return repr(consts[0]) == repr(consts[1]) and all(_same(a, b) for a, b in zip(*inner, strict=True))
