"""The first event of an Anthropic stream, which LangChain drops: it is the only one that older servers put the cache in.

A private symbol of langchain-anthropic is wrapped, once, when the first Anthropic call is seen. Where it is gone, or the
wrapping does not fit any more, nothing breaks: the call is charged by estimate and marked so.
"""

from __future__ import annotations

import functools
import logging
import sys
from collections.abc import Mapping
from typing import Any

from runguard_core import Usage

#: Where the wrapped method leaves the first event's usage; taken out again by the handler.
FIRST_USAGE = "runguard_first_usage"
_SYMBOL = "_make_message_chunk_from_anthropic_event"
_log = logging.getLogger("runguard")


def keep_first_usage() -> None:
    """Let the chunks of `ChatAnthropic` carry what the stream's first event said. Safe to call often."""
    cls = getattr(sys.modules.get("langchain_anthropic.chat_models"), "ChatAnthropic", None)
    original = getattr(cls, _SYMBOL, None)
    if original is None or hasattr(original, "runguard"):
        return

    @functools.wraps(original)
    def keeping(self: Any, event: Any, **kwargs: Any) -> Any:
        made = original(self, event, **kwargs)
        try:
            if event.type == "message_start" and made[0] is not None:
                made[0].response_metadata[FIRST_USAGE] = event.message.usage.model_dump()
        except Exception:  # noqa: BLE001  observing never raises
            _log.debug("RunGuard could not read the first event of a stream", exc_info=True)
        return made

    keeping.runguard = True  # type: ignore[attr-defined]  # a mark, so that it is wrapped once
    setattr(cls, _SYMBOL, keeping)


def take_first_usage(message: Any) -> Mapping[str, Any] | None:
    """Take the first event's usage out of a chunk or message; None where there is none."""
    metadata = getattr(message, "response_metadata", None)
    found = metadata.pop(FIRST_USAGE, None) if isinstance(metadata, dict) else None
    return found if isinstance(found, Mapping) else None


def completed_by(first: Mapping[str, Any], last: Usage) -> Usage:
    """What both ends of a stream say: the prompt from the first event, the answer from the last."""
    read, written = first.get("cache_read_input_tokens") or 0, first.get("cache_creation_input_tokens") or 0
    return Usage(
        input_tokens=(first.get("input_tokens") or 0) + read + written,
        output_tokens=last.output_tokens,
        cache_read_input_tokens=read,
        cache_creation_input_tokens=written,
        cache_creation_1h_input_tokens=(first.get("cache_creation") or {}).get("ephemeral_1h_input_tokens") or 0,
        reasoning_output_tokens=last.reasoning_output_tokens,
    )
