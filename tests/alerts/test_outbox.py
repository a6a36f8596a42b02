"""The outbox: each step is claimed once, and the events say where a message stands, in whatever order they are read."""

from __future__ import annotations

from dataclasses import replace
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from runguard_core.alerts import CLAIM_SECONDS, Message, Result, State, fold, message_id, queue, read_outbox
from runguard_core.alerts._outbox import (
    asked_again_event,
    failed_event,
    given_up_event,
    queued_event,
    sent_event,
    tried_event,
)
from runguard_core.ledger import Event, EventFilter, Store
from tests.alerts.values import T0, a_notice, later


def only(store: Store) -> Message:
    (found,) = read_outbox(store).values()
    return found


def test_a_notice_is_queued_once_for_each_channel(store: Store) -> None:
    notice = a_notice()
    assert [queue(store, notice, "ops"), queue(store, notice, "ops"), queue(store, notice, "mail")] == [True, False, True]
    assert queue(store, replace(notice, number=1), "ops"), "an update is another message"
    messages = read_outbox(store, "shop")
    assert [message.channel for message in messages.values()] == ["ops", "mail", "ops"]
    first = messages[message_id(notice, "ops")]
    assert (first.notice, first.state(T0), first.due_at(T0)) == (notice, State.WAITING, T0)
    assert read_outbox(store, "another app") == {}


def test_a_try_is_claimed_by_one(store: Store) -> None:
    queue(store, a_notice(), "ops")
    mine, theirs = (tried_event(only(store), later(1), by, is_repeatable=False) for by in ("a", "b"))
    assert [store.announce([mine]), store.announce([theirs])] == [1, 0]
    assert only(store).last is not None
    assert only(store).last.by == "a"  # type: ignore[union-attr]
    assert only(store).state(later(2)) is State.SENDING


def test_a_try_without_an_answer_is_perhaps_delivered_and_not_repeated_by_itself(store: Store) -> None:
    queue(store, a_notice(), "ops")
    store.announce([tried_event(only(store), T0, "a", is_repeatable=False)])
    message, after = only(store), later(CLAIM_SECONDS)
    assert (message.state(after), message.due_at(after)) == (State.PERHAPS, None)
    assert "ended before it had an answer" in message.reason(after)
    store.announce([asked_again_event(message, later(200), "ana")])
    assert (only(store).state(later(200)), only(store).due_at(later(200))) == (State.WAITING, later(200))
    store.announce([tried_event(only(store), later(201), "a", is_repeatable=False)])
    assert only(store).state(later(202)) is State.SENDING, "what a person asked for is one try"


def test_a_try_without_an_answer_is_repeated_where_the_destination_knows_it_again(store: Store) -> None:
    queue(store, a_notice(), "ops")
    store.announce([tried_event(only(store), T0, "a", is_repeatable=True)])
    assert only(store).due_at(later(CLAIM_SECONDS - 1)) is None, "whoever sends it may still be at it"
    assert only(store).due_at(later(CLAIM_SECONDS)) == later(CLAIM_SECONDS)


def test_what_failed_waits_and_what_is_given_up_is_undelivered(store: Store) -> None:
    queue(store, a_notice(), "ops")
    message = only(store)
    store.announce([tried_event(message, T0, "a", is_repeatable=False)])
    store.announce([failed_event(message, 1, later(1), Result.FAILED, "answered 500", later(11))])
    assert (only(store).state(later(2)), only(store).due_at(later(2))) == (State.WAITING, later(11))
    store.announce([tried_event(only(store), later(11), "a", is_repeatable=False)])
    store.announce([failed_event(message, 2, later(12), Result.FAILED, "answered 404", None)])
    store.announce([given_up_event(message, 2, later(12), "answered 404")])
    found = only(store)
    assert (found.state(later(13)), found.reason(later(13)), found.is_over) == (State.UNDELIVERED, "answered 404", True)
    store.announce([asked_again_event(found, later(20), "ana")])
    assert (only(store).fail_count, only(store).due_at(later(21)), only(store).is_over) == (0, later(20), False)
    store.announce([tried_event(only(store), later(21), "a", is_repeatable=False), sent_event(message, 3, later(22), "200")])
    assert (only(store).state(later(23)), only(store).is_over) == (State.SENT, True)


def history(message: Message, steps: list[str]) -> list[Event]:
    """Events of a life, one after the other."""
    said, number = [queued_event(message.notice, message.channel, T0)], 0
    for place, step in enumerate(steps):
        at = later(10 * place)
        if step in {"sent", "failed", "unknown", "lost"}:
            said.append(
                replace(tried_event(message, at, "a", is_repeatable=step == "lost"), id=f"{message.id}-tried-{number + 1}")
            )
            number += 1
            said[-1] = replace(said[-1], facts={**said[-1].facts, "number": number})
        if step == "sent":
            said.append(sent_event(message, number, at, "200"))
        elif step in {"failed", "unknown"}:
            said.append(failed_event(message, number, at, Result(step), "why", later(500)))
        elif step == "given up":
            said.append(given_up_event(message, number, at, "enough"))
        elif step == "again":
            moved = asked_again_event(message, at, "ana")
            said.append(replace(moved, facts={**moved.facts, "number": number}))
    return list({event.id: event for event in reversed(said)}.values())[::-1]  # of one id the ledger keeps the first


@given(st.lists(st.sampled_from(["sent", "failed", "unknown", "lost", "given up", "again"]), max_size=6), st.randoms())
def test_the_order_of_events_and_repeated_ones_change_nothing(steps: list[str], chance: Random) -> None:
    notice = a_notice()
    message = Message(id=message_id(notice, "ops"), app="shop", channel="ops", notice=notice, queued_at=T0)
    events = history(message, steps)
    wanted = fold(events)
    mixed = [*events, *chance.sample(events, len(events))]
    chance.shuffle(mixed)
    assert fold(mixed) == wanted
    assert (wanted[message.id].state(later(600)) is State.SENT) == ("sent" in steps)


def test_events_of_another_version_are_passed_over(store: Store) -> None:
    queue(store, a_notice(), "ops")
    store.announce([tried_event(only(store), T0, "a", is_repeatable=False)])
    odd = [replace(event, id=f"{event.id}-odd", facts={"message": only(store).id}) for event in store.events(EventFilter())]
    store.announce(odd)
    assert only(store).try_count == 1
