"""What an adapter fills in: `ModelCall` and `ToolCall` before, `Outcome` after. Sizes, never content.

The arguments of a tool call are the exception: they are read once for their signature and never stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from runguard_core.usage import Usage
from runguard_core.values import value

#: Operations that make a turn.
_TURNS = frozenset({"chat", "text_completion"})


class CallKind(StrEnum):
    """A paid request to a model, the run of a tool, or a sub-agent's part of a budget, which costs nothing by itself."""

    MODEL = "model"
    TOOL = "tool"
    CHILD = "child"


class OutcomeKind(StrEnum):
    """How a call ended, as far as can be known."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    UNKNOWN = "unknown"


class Certainty(StrEnum):
    """How good a charge is: what the provider reported, an estimate, no price known, or assumed after a crash."""

    EXACT = "exact"
    ESTIMATED = "estimated"
    UNPRICED = "unpriced"
    ASSUMED = "assumed"


@value()
class PromptPart:
    """The size of one origin's share of a prompt.

    Attributes:
        origin: "system", "user", "assistant", "tools" (the schemas) or "tool:NAME" (that tool's results).
        chars: characters of text, all messages of that origin together.
        message_count: how many messages.
        new_chars: characters that no earlier prompt of this run held (0 when the adapter cannot tell).
    """

    origin: str
    chars: int
    message_count: int = 1
    new_chars: int = 0


@value(kw_only=True)
class ModelCall:
    """A model call about to be made.

    Attributes:
        model: the name asked for.
        provider: "openai", "anthropic", ...; None when unknown.
        parts: what the prompt is made of.
        input_bytes: UTF-8 bytes of all text of the prompt and the tools' schemas (for a bound); 0 if not measured.
        media_count: images, audio and files in the prompt: they have no bound.
        max_output_tokens: the request's own limit on each answer, None without one.
        choice_count: answers asked for (`n`).
        can_cap_output: the adapter is able to lower the request's limit to what was reserved.
        after_tool: the prompt ends with a tool's result, so the tool loop goes on.
        tool_count: tools offered to the model; 0 makes a call that can only answer.
        landing: the one last, tool-less call that may use the landing allowance.
        service_tier: "default", "flex", "priority", "batch", ...
        account: the provider's account or project, where known.
        key_fingerprint: keyed digest of the API key, never the key.
        retry_of: id of the failed call of the same turn that this one repeats.
        operation: what is asked for, by OpenTelemetry's names where it has one: "chat", "text_completion", "embeddings",
            "rerank", "image_generation", "speech", "transcription", ... Only the first two make a turn.
    """

    model: str
    provider: str | None = None
    parts: tuple[PromptPart, ...] = ()
    input_bytes: int = 0
    media_count: int = 0
    max_output_tokens: int | None = None
    choice_count: int = 1
    can_cap_output: bool = False
    after_tool: bool = False
    tool_count: int = 0
    landing: bool = False
    service_tier: str | None = None
    account: str | None = None
    key_fingerprint: str | None = None
    retry_of: str | None = None
    operation: str = "chat"

    @property
    def is_turn(self) -> bool:
        """Whether the call is a round of the agent's loop; a repeat of a failed one belongs to the round before."""
        return self.retry_of is None and self.operation in _TURNS

    @property
    def prompt_size(self) -> tuple[int, int]:
        """Characters and messages of the whole prompt."""
        chars = message_count = 0
        for part in self.parts:
            chars += part.chars
            message_count += part.message_count
        return chars, message_count

    @property
    def message_count(self) -> int:
        """Messages of the whole prompt."""
        return self.prompt_size[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """A tool about to be run.

    Attributes:
        name: the tool.
        arguments: what it is called with; read for the signature, never stored.
        tool_call_id: the model's id for the request, where known.
    """

    name: str
    arguments: Mapping[str, Any] | str = field(default_factory=dict)
    tool_call_id: str | None = None


Call = ModelCall | ToolCall


@value(kw_only=True)
class Outcome:
    """How a call ended.

    Attributes:
        kind: completed, failed, cancelled or unknown.
        usage: what the provider reported; None when it said nothing.
        usage_complete: False when the report lacks a part (for example no input tokens).
        billed: False only when it is certain that nothing was billed.
        from_cache: the framework answered from its own cache; no request was made.
        output_chars: characters of the answer that were seen, 0 if none.
        output_text_hash: keyed digest of the answer or of the tool's result.
        error: type and short message of what went wrong, None if nothing did; error_status: HTTP status, where there was one.
        model: the name that answered; provider_request_id: the provider's id of the answer.
        cost_nanos: the provider's own price in nano-USD, where it gives one.
        attempt_count: requests the client library made, None when not seen.
        tool_names: tools the answer asks for.
        result: a tool's result, read for its digest and size, never stored.
        output_text: the text of a model's answer that asks for no tool, read for its digest, never stored.
    """

    kind: OutcomeKind = OutcomeKind.COMPLETED
    usage: Usage | None = None
    usage_complete: bool = True
    billed: bool = True
    from_cache: bool = False
    output_chars: int = 0
    output_text_hash: str | None = None
    error: str | None = None
    error_status: int | None = None
    model: str | None = None
    provider_request_id: str | None = None
    cost_nanos: int | None = None
    attempt_count: int | None = None
    tool_names: tuple[str, ...] = ()
    result: Any = None
    output_text: str | None = field(default=None, repr=False, compare=False)


@value(kw_only=True)
class ToolUse:
    """One tool call a run made, without its content.

    Attributes:
        name: the tool.
        signature: keyed digest of name and arguments.
        result_hash: keyed digest of the result, None while it runs or if it failed.
        result_chars: size of the result.
    """

    name: str
    signature: str
    result_hash: str | None = None
    result_chars: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """What a run has to show for itself when it is stopped.

    Attributes:
        session, run: their ids.
        spent_nanos: posted and pending of this run, nano-USD.
        turn_count, call_count: model turns and model calls admitted so far.
        tool_calls: the latest tool calls, oldest first (at most 100).
    """

    session: str
    run: str
    spent_nanos: int
    turn_count: int
    call_count: int
    tool_calls: tuple[ToolUse, ...] = ()
