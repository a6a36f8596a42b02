"""Recordings for tests, written as a recorder would."""

from __future__ import annotations

import json
from hashlib import sha1
from typing import Any

from runguard_core.policy import load_policy
from runguard_core.replay import Played, Recording, parse_run, play


def digest(value: Any) -> str:
    return sha1(json.dumps(value, sort_keys=True).encode()).hexdigest()[:12]


def llm(
    model: str | None = "gpt-4o-mini", tokens_in: int | None = 1000, tokens_out: int | None = 100, **more: Any
) -> dict[str, Any]:
    found = {"kind": "llm", "model": model, "input_tokens": tokens_in, "output_tokens": tokens_out, **more}
    return {key: value for key, value in found.items() if value is not None}


def tool(name: str, args: Any = None, result: Any = None, **more: Any) -> dict[str, Any]:
    found: dict[str, Any] = {"kind": "tool", "name": name}
    if args is not None:
        found |= {"args": args, "args_sha1": digest(args), "args_len": len(json.dumps(args))}
    if result is not None:
        found |= {"result": result, "result_sha1": digest(result), "result_len": len(result)}
    return found | more


def run(*events: Any, **more: Any) -> Recording:
    numbered = [{"i": place, **event} if isinstance(event, dict) else event for place, event in enumerate(events)]
    return parse_run({"run_id": "r", "events": numbered, **more}, "test")


def played(recording: Recording, policy: str = "", tmp: Any = None) -> Played:
    """Under the defaults, or under a policy written as TOML."""
    if not policy:
        return play([recording], load_policy(environ={}).rules)[0]
    file = tmp / "policy.toml"
    file.write_text(policy)
    return play([recording], load_policy(file, environ={}).rules)[0]
