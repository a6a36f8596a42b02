"""What a process remembers to say again: the last seconds, and no more than fits."""

from __future__ import annotations

from runguard_core.stores.redis._recent import MOST_WORDS, REMEMBERED_SECONDS, Recent, Said


def test_the_last_seconds_are_remembered_in_order_within_a_bound() -> None:
    """Older ones go, and of a flood the oldest; the latest stays however large it is."""
    now = [0.0]
    recent = Recent(lambda: now[0])
    for number in range(5):
        recent.add(Said(str(number), (), tuple))
        now[0] += REMEMBERED_SECONDS / 4
    assert [said.verb for said in recent.all()] == ["1", "2", "3", "4"]
    recent.add(Said("large", (), tuple, MOST_WORDS - 15))
    assert [said.verb for said in recent.all()] == ["4", "large"]
    recent.add(Said("larger", (), tuple, MOST_WORDS + 1))
    assert [said.verb for said in recent.all()] == ["larger"]
    recent.start_afresh()
    assert recent.all() == []
