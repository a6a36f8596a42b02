"""The wire formats beside chat: OpenAI's responses, embeddings, images, speech, transcription; Cohere's rerank."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

from runguard_core.testing._reply import Request

#: A piece of a stream: the event's name and its JSON value.
Piece = tuple[str, Any]
_CREATED = 1_790_000_000


def answer_of(request: Request) -> dict[str, Any] | bytes:
    """A whole answer; speech is bytes."""
    return _ANSWERS[request.protocol](request)


def _usage(request: Request) -> dict[str, Any]:
    reply = request.reply
    return {
        "input_tokens": request.input_tokens,
        "input_tokens_details": {"cached_tokens": reply.cached_tokens, "text_tokens": request.input_tokens, "image_tokens": 0},
        "output_tokens": request.output_tokens,
        "output_tokens_details": {"reasoning_tokens": reply.reasoning_tokens},
        "total_tokens": request.input_tokens + request.output_tokens,
    }


def _response(request: Request) -> dict[str, Any]:
    found: list[dict[str, Any]] = [
        {
            "type": "function_call",
            "id": f"fc_{request.index}_{place}",
            "call_id": use.id or f"call_{request.index}_{place}",
            "name": use.name,
            "arguments": json.dumps(dict(use.arguments)),
            "status": "completed",
        }
        for place, use in enumerate(request.reply.tool_calls)
    ]
    text = {"type": "output_text", "text": request.reply.text, "annotations": []}
    message = {"type": "message", "id": f"msg_{request.index}", "status": "completed", "role": "assistant", "content": [text]}
    return {
        **_response_frame(request),
        "status": "completed",
        "output": found or [message],
        "usage": _usage(request) if request.reply.usage else None,
    }


def _response_frame(request: Request) -> dict[str, Any]:
    return {
        "id": f"resp_{request.index}", "object": "response", "created_at": _CREATED, "model": request.model,
        "status": "in_progress", "output": [], "parallel_tool_calls": True, "tool_choice": "auto", "tools": [],
        "error": None, "incomplete_details": None, "instructions": None, "metadata": {}, "temperature": 1.0, "top_p": 1.0,
    }  # fmt: skip


def response_stream(request: Request, texts: list[str]) -> Iterator[Piece]:
    """A response in pieces."""
    whole = _response(request)
    yield "response.created", {"type": "response.created", "sequence_number": 0, "response": _response_frame(request)}
    number = 1
    for place, item in enumerate(whole["output"]):
        at = {"output_index": place, "item_id": item["id"]}
        yield (
            "response.output_item.added",
            {"type": "response.output_item.added", "item": item, "sequence_number": number, "output_index": place},
        )
        for text in texts if item["type"] == "message" else ():
            number += 1
            yield (
                "response.output_text.delta",
                {"type": "response.output_text.delta", "content_index": 0, "delta": text, "sequence_number": number, **at},
            )
    yield "response.completed", {"type": "response.completed", "sequence_number": number + 1, "response": whole}


def _embeddings(request: Request) -> dict[str, Any]:
    given = request.body.get("input")
    count = len(given) if isinstance(given, list) and given and not isinstance(given[0], int) else 1
    answer: dict[str, Any] = {
        "object": "list",
        "model": request.model,
        "data": [{"object": "embedding", "index": i, "embedding": [0.25, -0.5, 0.125]} for i in range(count)],
    }
    if request.reply.usage:
        answer["usage"] = {"prompt_tokens": request.input_tokens, "total_tokens": request.input_tokens}
    return answer


def _image(request: Request) -> dict[str, Any]:
    answer = {"created": _CREATED, "data": [{"b64_json": "aGk="}]}
    return {**answer, "usage": _usage(request)} if request.reply.usage else answer


def _speech(request: Request) -> bytes:
    return b"ID3" + bytes(64) + str(request.index).encode()


def _transcription(request: Request) -> dict[str, Any]:
    answer: dict[str, Any] = {"text": request.reply.text}
    if request.reply.usage:
        details = {"text_tokens": 0, "audio_tokens": request.input_tokens}
        answer["usage"] = {**_usage(request), "type": "tokens", "input_token_details": details}
    return answer


def _rerank(request: Request) -> dict[str, Any]:
    results = [{"index": i, "relevance_score": 0.9} for i in range(len(request.body.get("documents") or ()))]
    return {"id": f"rerank-{request.index}", "results": results, "meta": {"billed_units": {"search_units": 1}}}


_ANSWERS: dict[str, Callable[[Request], dict[str, Any] | bytes]] = {
    "responses": _response, "embeddings": _embeddings, "image": _image, "speech": _speech,
    "transcription": _transcription, "rerank": _rerank,
}  # fmt: skip
