"""A model call as the detectors of the model's side see it: sizes and counts, never content."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from runguard_core.calls import ModelCall, Outcome, OutcomeKind, PromptPart

if TYPE_CHECKING:
    from runguard_core.detectors._turn_strand import Strand

#: Operations that send a conversation; all others (embeddings, images, ...) have no history that could grow or shrink.
_CHAT = frozenset({"chat", "text_completion"})
_COMPLETED = OutcomeKind.COMPLETED
#: Statuses that say "not now": too many requests, overloaded.
REFUSING_STATUSES = frozenset({429, 503, 529})
#: A summary is longer than the average of the messages that it replaces, by this factor at least.
_SUMMARY_RATIO = 1.25
#: Errors that say so by their name, where no status was seen.
_REFUSING_NAMES = ("RateLimit", "TooManyRequests", "ResourceExhausted", "Throttl", "Overloaded", "ServiceUnavailable")


class PromptPrices(Protocol):
    """What the price book knows of a model, as far as prompts go."""

    @property
    def context_window_tokens(self) -> int | None:
        """Most tokens of a prompt; None when unknown."""
        ...

    @property
    def tiers(self) -> tuple[tuple[int, Any], ...]:
        """Price cliffs, ascending: from how many prompt tokens on the whole call has another price."""
        ...

    def plain(self, input_tokens: int, output_tokens: int, service_tier: str | None = None) -> int:
        """What so many tokens cost without any cache, in nano-USD."""
        ...


class Turn:
    """One model call: before it is sent, and (the last lines) once it has ended.

    Attributes:
        call: as the adapter filled it in; model, agent: who is asked, by whom.
        at: when it was asked for.
        input_tokens: the prompt as quoted; answer_tokens: set aside for the answer.
        prices: the model's window and price cliffs, None where unknown.
        is_chat: whether it sends a conversation; is_turn: and is no repeat of a failed call.
        chars, message_count, system_chars: sums over the parts; the schemas of tools are no messages.
        tokens: the best known size of the prompt: projected, and what the provider counted once it has.
        counted_tokens: what the provider counted, None while unknown; is_measured: whether `tokens` starts from such a count.
        strand: what the agent instance has sent of this kind; None for what is no conversation.
        previous: the turn before in the strand; None for the first, and once a later one has followed.
        order: its place among the beginnings and ends of the run's calls, 0 while it is a candidate.
        is_ended: whether its end is known; is_answered: a proper answer came.
        status: HTTP status of a failure; is_refused: it said "not now".
        attempt_count: requests that were made for it.
        tool_names: tools the answer asks for; answer_mark: digest of its text, where it is known.
        answer_chars: size of the answer; text_chars: of its text alone, 0 where that was not at hand.
    """

    __slots__ = (
        "agent", "answer_chars", "answer_mark", "answer_tokens", "at", "attempt_count", "call", "chars", "counted_tokens",
        "input_tokens", "is_answered", "is_chat", "is_ended", "is_measured", "is_refused", "is_turn", "message_count", "model",
        "order", "previous", "prices", "status", "strand", "system_chars", "text_chars", "tokens", "tool_names",
    )  # fmt: skip

    def __init__(
        self, call: ModelCall, agent: str | None, at: datetime, input_tokens: int, answer_tokens: int,
        prices: PromptPrices | None = None,
    ) -> None:  # fmt: skip
        """Made for every call, hence no dataclass; what can be looked up in the call is not copied."""
        self.call, self.model, self.agent, self.at = call, call.model, agent, at
        self.input_tokens = self.tokens = input_tokens
        self.answer_tokens, self.prices = answer_tokens, prices
        self.strand: Strand | None = None
        self.previous: Turn | None = None
        self.counted_tokens: int | None = None
        self.status: int | None = None
        self.answer_mark: str | None = None
        self.tool_names: tuple[str, ...] = ()
        self.attempt_count = 1
        self.order = self.answer_chars = self.text_chars = 0
        self.is_measured = self.is_ended = self.is_answered = self.is_refused = False
        is_chat = self.is_chat = call.operation in _CHAT
        self.is_turn = is_chat and call.retry_of is None
        chars = count = system = 0
        for part in call.parts:
            size, origin = part.chars, part.origin
            chars += size
            if origin != "tools":  # schemas are no messages
                count += part.message_count
                if origin == "system":
                    system += size
        self.chars, self.message_count, self.system_chars = chars, count, system

    @property
    def parts(self) -> tuple[PromptPart, ...]:
        """Sizes of the prompt by origin."""
        return self.call.parts

    @property
    def operation(self) -> str:
        """What is asked for: "chat", "embeddings", ..."""
        return self.call.operation

    @property
    def has_tools(self) -> bool:
        """Tools are offered."""
        return self.call.tool_count > 0

    @property
    def after_tool(self) -> bool:
        """The prompt ends with a tool's result, so the loop goes on."""
        return self.call.after_tool

    @property
    def has_media(self) -> bool:
        """The prompt holds images, audio or files, whose tokens are not in its characters."""
        return self.call.media_count > 0

    @property
    def user_chars(self) -> int:
        """Characters of the user's part."""
        return sum(part.chars for part in self.call.parts if part.origin == "user")

    @property
    def user_count(self) -> int:
        """Messages of the user's."""
        return sum(part.message_count for part in self.call.parts if part.origin == "user")

    def window_tokens(self, known: Mapping[str, int]) -> int | None:
        """The model's window: from `known`, else from the price book; None when unknown.

        A listed window that ends where a price tier begins contradicts its own price list (the longer window is an option
        of the request): then it is not known which of them holds.
        """
        told = known.get(self.model) if known else None
        if told is not None or self.prices is None:
            return told
        window, tiers = self.prices.context_window_tokens, self.prices.tiers
        return None if window is None or (tiers and tiers[-1][0] >= window) else window

    def project(self, strand: Strand) -> None:
        """Place it behind the turn before: its tokens are those of that one and what its new characters will add."""
        self.strand = strand
        previous = self.previous = strand.last
        if previous is None or not previous.is_measured:
            return
        chars = self.chars
        if previous.model != self.model or not chars or self.call.media_count:
            return
        tokens = previous.tokens + (chars - previous.chars) * self.input_tokens // chars
        self.tokens, self.is_measured = (tokens if tokens > 0 else 1), True

    def goes_on_from(self, was: Turn) -> bool:
        """Whether it has what a tool loop adds (an answer and a result), and the system prompt is there or has never been."""
        if self.message_count < was.message_count + 2:
            return False
        return bool(self.system_chars or not was.system_chars) and (self.strand is None or not self.strand.lost_chars)

    def end(self, outcome: Outcome) -> None:
        """It has ended."""
        self.is_ended, usage = True, outcome.usage
        if usage is not None and usage.input_tokens and outcome.usage_complete and not outcome.from_cache and usage.is_sound:
            self.tokens = self.counted_tokens = usage.input_tokens
            self.is_measured = True
        if outcome.kind is _COMPLETED and outcome.error is None:
            self.is_answered, self.tool_names, self.answer_mark = True, outcome.tool_names, outcome.output_text_hash
            self.answer_chars = outcome.output_chars
        else:
            self.status, self.is_refused = outcome.error_status, is_refusal(outcome.error_status, outcome.error)
        if outcome.attempt_count:
            self.attempt_count = outcome.attempt_count

    def missing_count(self, was: Turn) -> int:
        """How many messages of the prompt before are missing at least, with nothing in their place, while a tool loop goes on.

        A loop that goes on has an answer and a result more than before. Only where the system prompt is gone is a result expected
        for each of the tools that were asked for: some clients put the results of one round into one message.
        """
        results = len(was.tool_names) if was.system_chars and not self.system_chars else 1
        missing = was.message_count + 1 + max(1, results) - self.message_count
        if missing <= 0 or not self.after_tool or self.chars == was.chars or not was.is_answered or self._is_summary_of(was):
            return 0
        return missing

    def _is_summary_of(self, was: Turn) -> bool:
        """Whether the system's or the user's part says something else now.

        In a loop that goes on the user says nothing new. So a part that changed without losing messages holds a summary; where
        it lost some, one that is larger, or whose messages are longer on average.
        """
        if self.system_chars and self.system_chars != was.system_chars:
            return True
        if not self.user_count or self.user_chars == was.user_chars:
            return False
        if self.user_chars > was.user_chars or self.user_count >= was.user_count:
            return True
        return self.user_chars * was.user_count >= _SUMMARY_RATIO * was.user_chars * self.user_count

    def share(self, origin: str) -> float:
        """The share of the prompt's characters that is of this origin, 0 to 1."""
        return sum(part.chars for part in self.parts if part.origin == origin) / self.chars if self.chars else 0.0


def is_refusal(status: int | None, error: str | None) -> bool:
    """Whether a failure says "not now": by its status, or by the name of the error where no status was seen."""
    if status is not None:
        return status in REFUSING_STATUSES
    name = (error or "").partition(":")[0].rpartition(".")[2]
    return any(word in name for word in _REFUSING_NAMES)
