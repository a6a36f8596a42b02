"""What an answer says about how its call ended: usage, size, model, id, the tools it asks for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import ROUND_CEILING, Decimal
from typing import Any

from runguard_core.calls import Outcome, OutcomeKind
from runguard_core.usage import Usage
from runguard_core.wire._errors import read_error
from runguard_core.wire._prompts import read_size
from runguard_core.wire._reading import read, reader, text_of, written
from runguard_core.wire._usage import read_usage

#: Providers that state in the usage what they charge; elsewhere a gateway may have put its own reckoning there.
_STATE_COST = frozenset({"openrouter", "perplexity", "litellm_proxy"})


def read_answer(answer: Any, provider: str | None = None) -> Outcome:
    """The outcome of an answer: OpenAI's chat, completion, responses, embeddings and images, Anthropic's messages.

    Args:
        answer: as the client returns it, or the last event of a response's stream.
        provider: who answered; the price in the usage counts where it is known to be the provider's own.
    """
    answer = read(answer, "response") or answer
    get, (chars, names, text) = reader(answer), _said(answer)
    raw = get("usage")
    usage = read_usage(raw)
    return Outcome(
        usage=usage, usage_complete=usage is None or usage.input_tokens > 0, output_chars=chars, tool_names=names,
        output_text=None if names else text or None, cost_nanos=_cost(raw, provider),
        model=text_of(get("model")), provider_request_id=text_of(get("id")),
    )  # fmt: skip


def read_chunks(
    chunks: Sequence[Any], provider: str | None = None, *, is_whole: bool, error: BaseException | None = None
) -> Outcome:
    """The outcome of a stream of OpenAI's chat by the chunks that came; all zeros are no report of usage.

    Args:
        chunks: in order; provider: as for `read_answer`.
        is_whole: the stream has come to its end; error: what ended it instead.
    """
    said = [_said(chunk) for chunk in chunks]
    chars = sum(count for count, _, _ in said)
    if error is not None:
        return read_error(error, chars)
    raws = [raw for chunk in chunks if (raw := read(chunk, "usage"))] if is_whole else []
    usage = None
    for raw in raws:  # Anthropic states the prompt first and the answer last, Gemini corrects itself
        usage = _later(usage, read_usage(raw))
    first, names = chunks[0] if chunks else None, tuple(name for _, names, _ in said for name in names)
    return Outcome(
        kind=OutcomeKind.COMPLETED if is_whole else OutcomeKind.CANCELLED,
        usage=usage, usage_complete=usage is None or usage.input_tokens > 0,
        output_chars=chars, tool_names=names,
        output_text=None if names or not is_whole else "".join([text for _, _, text in said]) or None,
        cost_nanos=max((cost for raw in raws if (cost := _cost(raw, provider)) is not None), default=None),
        model=text_of(read(first, "model")), provider_request_id=text_of(read(first, "id")),
    )  # fmt: skip


def _later(before: Usage | None, now: Usage | None) -> Usage | None:
    if before is None or now is None:
        return now or before
    return Usage(**{name: getattr(now, name) or getattr(before, name) for name in Usage.__dataclass_fields__})


def _cost(raw: Any, provider: str | None) -> int | None:
    """The provider's own price in the usage, rounded up to the nano-dollar."""
    if provider not in _STATE_COST:
        return None
    cost = read(raw, "cost")
    cost = cost.get("total_cost") if isinstance(cost, Mapping) else cost
    if isinstance(cost, bool) or not isinstance(cost, (int, float)) or cost <= 0:
        return None
    return int((Decimal(str(cost)) * 10**9).to_integral_value(ROUND_CEILING))


def _said(answer: Any) -> tuple[int, tuple[str, ...], str]:
    """Characters of an answer or a piece of one, the tools it asks for, and its text."""
    chars, names, said, get = 0, [], "", reader(answer)
    for choice in (get("choices") or ())[:1]:
        of = reader(read(choice, "message") or read(choice, "delta"))
        content = of("content") or read(choice, "text")
        said += _text(content)
        chars += read_size(content)[0] + len(of("reasoning_content") or "")
        for call in of("tool_calls") or ():
            function = read(call, "function") or call
            chars += len(written(read(function, "arguments")))
            names.append(read(function, "name"))
    blocks = get("output") or get("content")
    for item in blocks if isinstance(blocks, list) else ():
        names += [read(item, "name")] if read(item, "type") in {"function_call", "tool_use"} else []
        texts = read(item, "content") if isinstance(read(item, "content"), list) else [item]
        said_here = _text(texts)
        chars, said = chars + len(said_here), said + said_here
    return chars, tuple([str(name) for name in names if name]), said


def _text(content: Any) -> str:
    """The text of a content: a text, or blocks of which some have one."""
    if isinstance(content, str):
        return content
    return "".join([str(read(block, "text") or "") for block in content]) if isinstance(content, list) else ""
