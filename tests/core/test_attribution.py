"""Attribution: hostile values become safe ones, and different ones stay different."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runguard_core.attribution import MAX_VALUE_CHARS, Attribution, clean, read_attribution

HOSTILE = ["a\0b", "\ud800", "x" * 10_000, "'; DROP TABLE call; --", "{}{{{%s}}", "e\u0301", "\u202etxt", ""]


@pytest.mark.parametrize("value", HOSTILE)
def test_hostile_values_become_storable_text(value: str) -> None:
    """No NUL, no surrogate, bounded, and UTF-8 takes it."""
    kept = clean(value)
    assert "\0" not in kept
    assert len(kept) <= MAX_VALUE_CHARS
    assert kept.encode("utf-8").decode() == kept


def test_composed_and_decomposed_text_is_one_value() -> None:
    """NFC, or one team would have two budgets."""
    assert clean("Cafe\u0301") == clean("Caf\u00e9")


def test_long_values_that_differ_at_the_end_stay_different() -> None:
    """Cutting alone would merge two customers."""
    assert clean("x" * 300 + "a") != clean("x" * 300 + "b")


@given(st.text())
def test_cleaning_twice_changes_nothing(value: str) -> None:
    """A cleaned value is clean."""
    assert clean(clean(value)) == clean(value)


def test_an_object_that_cannot_be_shown_does_not_raise() -> None:
    """Observing never raises, whatever a user's class does."""

    class Angry:
        def __str__(self) -> str:
            raise RuntimeError

    assert clean(Angry()) == "<Angry>"


def test_values_are_found_by_dimension_and_by_tag() -> None:
    """Fields first, tags by key or by `tag:KEY`."""
    who = Attribution(app="a").with_values(agent="planner", tags={"tier": "free", "n": 3})
    assert (who.value("agent"), who.value("tier"), who.value("tag:n"), who.value("user")) == (
        "planner",
        "free",
        "3",
        None,
    )


def test_tags_merge_and_none_leaves_things_alone() -> None:
    """Nested configs add, they do not replace."""
    who = Attribution(app="a", team="t").with_values(tags={"x": 1, "y": 1}).with_values(team=None, tags={"y": 2})
    assert who.team == "t"
    assert who.tags == (("x", "1"), ("y", "2"))


def test_flat_keys_of_a_frameworks_metadata_are_read_and_others_left_alone() -> None:
    """What cannot even be printed is named by its type; one bad value does not lose the rest."""

    class Bad:
        def __str__(self) -> str:
            raise RuntimeError("theirs")

    told = {
        "runguard_feature": "search", "runguard_user": Bad(), "runguard_team": None, "runguard_tag_tier": "pro", "prompt": "secret",
        "runguard_run": "not theirs to say", 7: "no key of ours",
    }  # fmt: skip
    assert read_attribution(told) == {"feature": "search", "user": "<Bad>", "tags": {"tier": "pro"}}
    assert read_attribution({}) == {}
