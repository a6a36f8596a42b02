"""Prompts of one kind, one after the other, with the counts that the detectors need, kept up to date turn by turn."""

from __future__ import annotations

from collections import deque

from runguard_core.calls import PromptPart
from runguard_core.detectors._turn import Turn
from runguard_core.detectors._turn_stretch import Stretch

#: Prompts whose growth is averaged: the latest four, or eight where these grew less, so that one large result is no trend.
_RECENT, _LATEST = 8, 4
#: A prompt below this share of the one before starts anew: a compaction, or another conversation.
_ANEW_RATIO = 0.9
#: A surge: the prompt grows by this factor more than it grew the time before, and by no less than so many tokens.
SURGE_RATIO = 1.25
SURGE_TOKENS = 500
#: Prompts in a row that must have grown before one that does not means anything.
_CLIMB_COUNT = 2
#: Two counts of a prompt are the same when they differ by no more, as a share: a few tokens of framing vary.
_FLAT_RATIO = 0.01
#: A prompt is longer when it has so many characters more, and a twentieth.
_LONGER_CHARS = 1000


class Strand:
    """What one agent instance sends: rounds of its loop, which offer tools, or questions on the side, which do not.

    Attributes:
        last: the latest turn; first_tokens, first_parts: of the prompt since which it has only grown.
        turn_count: turns since then.
        surge_count: how many in a row grew faster than the one before; grown_tokens: by how much the last one grew.
        sent_tokens, resent_tokens: all prompt tokens since then, and how many of them the prompt before had held already.
        flat_count: how many prompts in a row were longer than the one before and yet counted the same by the provider.
        climb_count: how many prompts in a row had more messages than the one before: the history is sent each time.
        has_system: whether every prompt so far has had a system part.
        lost_chars: of the system part that was dropped, 0 while it is there; lost_count: prompts without it in a row.
        dropped_count: how many other messages were dropped with it and since.
    """

    __slots__ = (
        "_recent", "climb_count", "dropped_count", "first_parts", "first_tokens", "flat_count", "grown_tokens", "has_system",
        "last", "lost_chars", "lost_count", "resent_tokens", "sent_tokens", "stretch", "surge_count", "turn_count",
    )  # fmt: skip

    def __init__(self) -> None:
        """Empty."""
        self.last: Turn | None = None
        self.stretch: Stretch | None = None
        self.first_parts: tuple[PromptPart, ...] = ()
        self._recent: deque[int] = deque(maxlen=_RECENT)
        self.first_tokens = self.turn_count = self.surge_count = self.grown_tokens = 0
        self.sent_tokens = self.resent_tokens = self.flat_count = self.climb_count = 0
        self.lost_chars = self.lost_count = self.dropped_count = 0
        self.has_system = True

    def growth_tokens(self, tokens: int) -> int:
        """By how much prompts have grown per turn lately, if one of this size came next; 0 when they have not."""
        recent = self._recent
        count = len(recent)
        if not count:
            return 0
        growth = (tokens - recent[0]) // count
        return max(0, growth if count <= _LATEST else min(growth, (tokens - recent[-_LATEST]) // _LATEST))

    def surges(self, tokens: int) -> int:
        """How many turns in a row have grown faster than the one before, if a prompt of this size came next."""
        if self.last is None:
            return 0
        grown = tokens - self.last.tokens
        is_surge = self.grown_tokens > 0 and grown >= SURGE_TOKENS and grown >= SURGE_RATIO * self.grown_tokens
        return self.surge_count + 1 if is_surge else 0

    def missing_count(self, turn: Turn) -> int:
        """How many messages a prompt that has had more each time is missing, if this one came next."""
        if self.last is None or not turn.is_turn or (self.climb_count < _CLIMB_COUNT and not self.lost_chars):
            return 0
        return turn.missing_count(self.last)

    def begin(self, turn: Turn) -> None:
        """The turn is sent. A repeat of a failed one takes its place."""
        last, tokens = self.last, turn.tokens
        if last is None or tokens < _ANEW_RATIO * last.tokens:
            self._anew(turn)
        elif turn.is_turn:
            grown = tokens - last.tokens
            self.surge_count = 0 if grown < SURGE_TOKENS else self.surges(tokens)
            self.grown_tokens = max(0, grown)
            self.resent_tokens += last.tokens if grown > 0 else tokens
        if turn.is_turn:
            if self.lost_chars or (self.has_system and not turn.system_chars):
                self._miss_system(turn)
            self.climb_count = self.climb_count + 1 if last is not None and turn.message_count > last.message_count else 0
            self.turn_count += 1
            self.sent_tokens += tokens
            self._recent.append(tokens)
        if last is not None:
            last.previous = None  # so that a run's turns do not hang together for ever
        self.last = turn

    def _miss_system(self, turn: Turn) -> None:
        if turn.system_chars:
            self.lost_chars = self.lost_count = self.dropped_count = 0
            return
        missing = self.missing_count(turn)
        if missing and self.has_system and self.last is not None:
            self.lost_chars, missing = self.last.system_chars, missing - 1
        self.has_system = False
        if self.lost_chars:
            self.lost_count += 1
            self.dropped_count += missing

    def _anew(self, turn: Turn) -> None:
        self.first_tokens, self.first_parts = turn.tokens, turn.parts
        self.turn_count = self.surge_count = self.grown_tokens = self.sent_tokens = self.resent_tokens = self.flat_count = 0
        self._recent.clear()

    def finish(self, turn: Turn) -> None:
        """The turn has ended: does the provider still read everything that it is sent?"""
        before, now = turn.previous, turn.counted_tokens
        if before is None or now is None or turn.chars - before.chars < _LONGER_CHARS:
            return
        counted = before.counted_tokens
        if counted is None or turn.has_media or before.model != turn.model or turn.chars - before.chars < before.chars // 20:
            return
        self.flat_count = self.flat_count + 1 if abs(now - counted) <= _FLAT_RATIO * counted else 0
