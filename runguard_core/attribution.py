"""Who pays: the dimensions every entry carries."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import fields
from hashlib import blake2b
from operator import attrgetter
from typing import Any

from runguard_core.values import value

#: Longest value kept, in characters; longer ones keep their head and a digest of the whole.
MAX_VALUE_CHARS = 256
_DIGEST_CHARS = 16
#: The value of a required dimension that a call did not carry.
UNATTRIBUTED = "unattributed"


def clean(value: object) -> str:
    """Any tag value as safe text: NFC, no NUL, no lone surrogates, at most 256 characters.

    Two different long values stay different (a digest of the whole is appended); nothing raises.
    """
    text = value if isinstance(value, str) else _text(value)
    if text.isascii() and len(text) <= MAX_VALUE_CHARS and "\0" not in text:
        return text
    text = text.encode("utf-8", "replace").decode("utf-8").replace("\0", "�")
    text = unicodedata.normalize("NFC", text[: 64 * MAX_VALUE_CHARS])
    if len(text) <= MAX_VALUE_CHARS:
        return text
    digest = blake2b(text.encode(), digest_size=_DIGEST_CHARS // 2).hexdigest()
    return f"{text[: MAX_VALUE_CHARS - _DIGEST_CHARS - 1]}~{digest}"


def _text(value: object) -> str:
    """`str(value)`, or the type's name when the object cannot even do that."""
    try:
        return str(value)
    except Exception:  # noqa: BLE001  a user's __str__ may raise anything, and observing never does
        return f"<{type(value).__name__}>"


@value()
class Attribution:
    """Who a call belongs to; None where nobody said.

    Attributes:
        app: the program.
        feature: what the product sells; the app unless a call says otherwise.
        team, owner: who answers for the cost.
        agent: name of the agent; instance: which of several running at once (detectors keep them apart).
        session: the conversation; user: the end user; run: one root invocation of an agent.
        turn: number of the round within the run, from 1; loop: number of the tool loop within the run, from 1.
        release: version of the program.
        tags: free pairs, sorted by key.
    """

    app: str
    feature: str | None = None
    team: str | None = None
    owner: str | None = None
    agent: str | None = None
    instance: str | None = None
    user: str | None = None
    session: str | None = None
    run: str | None = None
    turn: int | None = None
    loop: int | None = None
    release: str | None = None
    tags: tuple[tuple[str, str], ...] = ()

    def value(self, dimension: str) -> str | None:
        """The value of a dimension ("agent", "session", ..., or the key of a tag); None when unset."""
        if dimension in DIMENSIONS:
            found = getattr(self, dimension)
            return None if found is None else str(found)
        key = dimension.removeprefix("tag:")
        return next((text for name, text in self.tags if name == key), None)

    def with_values(self, **values: Any) -> Attribution:
        """A copy with some dimensions set; None leaves a dimension as it is, tags are merged."""
        merged: list[Any] | None = None
        for name, given in values.items():
            if given is None or (name == "tags" and not given):
                continue
            if merged is None:
                merged = list(_ALL(self))
            if name == "tags":
                given = merge_tags(self.tags, given)  # noqa: PLW2901  cleaned
            merged[_PLACES[name]] = clean(given) if isinstance(given, str) else given
        return self if merged is None else Attribution(*merged)


def feature_of(who: Attribution) -> str:
    """What a call is filed under: its feature, the app where it names none."""
    return who.feature or who.app


def in_turn(who: Attribution, turn: int | None, loop: int | None) -> Attribution:
    """The same owner in a turn and a tool loop. Made once per call, hence without `replace`, which costs twice as much."""
    return Attribution(
        who.app, who.feature, who.team, who.owner, who.agent, who.instance, who.user, who.session, who.run, turn, loop,
        who.release, who.tags,
    )  # fmt: skip


def merge_tags(
    old: Iterable[tuple[str, str]], new: Mapping[str, object] | Iterable[tuple[str, object]]
) -> tuple[tuple[str, str], ...]:
    """Later pairs win; keys and values cleaned; sorted by key."""
    pairs = new.items() if isinstance(new, Mapping) else new
    merged = dict(old) | {clean(key): clean(value) for key, value in pairs if value is not None}
    return tuple(sorted(merged.items()))


_FIELDS = tuple([field.name for field in fields(Attribution)])
_PLACES = {name: place for place, name in enumerate(_FIELDS)}
_ALL = attrgetter(*_FIELDS)
#: Dimensions that are fields; everything else is the key of a tag.
DIMENSIONS: frozenset[str] = frozenset(_FIELDS) - {"tags"}
_PREFIX = "runguard_"
#: Dimensions that a framework's metadata may name; turn, loop, instance and run are the adapter's to know.
_NAMED = frozenset({"feature", "team", "owner", "user", "agent", "session", "release"})


def read_attribution(metadata: Mapping[Any, Any]) -> dict[str, Any]:
    """What the flat `runguard_*` keys of a framework's metadata say, as values for `Guard.attribution`; others are left alone.

    `runguard_tag_ANYTHING` becomes the tag "ANYTHING"; None says nothing.
    """
    found: dict[str, Any] = {}
    tags: dict[str, Any] = {}
    for key, said in metadata.items():
        if said is None or not isinstance(key, str) or not key.startswith(_PREFIX):
            continue
        name = key[len(_PREFIX) :]
        if name in _NAMED:
            found[name] = said if isinstance(said, str) else clean(said)  # a text is cleaned where it is set
        elif name.startswith("tag_"):
            tags[name.removeprefix("tag_")] = said
    return {**found, "tags": tags} if tags else found
