"""The verbs as scripts: `lua/VERB.lua`, each behind what they share."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from hashlib import sha1
from importlib.resources import files

#: What stands before a verb's own text, where that is not the prelude alone.
_BEFORE = {"open": ()} | dict.fromkeys(("enlist", "grant", "settle", "recover"), ("prelude", "leasing"))


@dataclass(frozen=True, slots=True)
class Script:
    """A verb: its name, its text, and the name by which the server knows it."""

    verb: str
    text: str
    digest: str


@functools.cache
def script(verb: str) -> Script:
    """The script of a verb. Its first line, which says what it may do (`#!lua flags=...`), stays the first."""
    folder = files(__package__).joinpath("lua")
    flags, _, body = folder.joinpath(f"{verb}.lua").read_text("utf-8").partition("\n")
    before = [folder.joinpath(f"{name}.lua").read_text("utf-8") for name in _BEFORE.get(verb, ("prelude",))]
    text = "\n".join([flags, *before, body])
    return Script(verb, text, sha1(text.encode(), usedforsecurity=False).hexdigest())
