"""A real LiteLLM proxy in a process of its own."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from runguard_core import CallFilter, CallRecord, open_store
from runguard_core.testing import FakeProvider, Reply, Request

KEY = "sk-runguard-test-0123456789abcdef"
POLICY = """
app = "gateway"
store = "sqlite:///{ledger}?leases=off"  # what the proxy has done is read at once, from another process
[[budgets]]
name = "session"
limit = "2 calls"
per = ["session"]
where = {{ "tag:capped" = "yes" }}
period = "lifetime"
[[budgets]]
name = "daily"
where = {{ user = "daily" }}
limit = "1 calls"
period = "day"
"""
CONFIG = """
model_list:
  - model_name: chat
    litellm_params: {{model: openai/gpt-4o-mini, api_base: "{url}/v1", api_key: x, max_retries: 0}}
  - model_name: other
    litellm_params: {{model: openai/gpt-4o, api_base: "{url}/v1", api_key: x, max_retries: 0}}
  - model_name: claude
    litellm_params: {{model: anthropic/claude-sonnet-4-6, api_base: "{url}", api_key: x, max_retries: 0}}
  - model_name: embed
    litellm_params: {{model: openai/text-embedding-3-small, api_base: "{url}/v1", api_key: x}}
router_settings: {{num_retries: 2, retry_after: 0, fallbacks: [{{chat: [other]}}], disable_cooldowns: true}}
litellm_settings:
  callbacks: ["runguard_litellm.proxy"]
general_settings: {{master_key: {key}}}
"""


@dataclass
class Gateway:
    """The running proxy, what stands behind it, and its ledger."""

    url: str
    provider: FakeProvider
    ledger: Path
    log: Path

    def post(self, path: str = "/v1/chat/completions", **how: Any) -> httpx.Response:
        """One request; `session`, `headers` and body fields. Capped at two calls a session, unless the headers say otherwise."""
        headers = {"authorization": f"Bearer {KEY}", "x-litellm-session-id": how.pop("session"), "x-litellm-tags": "capped=yes"}
        headers |= how.pop("headers", {})
        body = {"model": "chat", "messages": [{"role": "user", "content": "hi"}], **how}
        return httpx.post(self.url + path, json=body, headers=headers, timeout=60)

    def calls(self, session: str) -> list[CallRecord]:
        """The session's calls in the ledger."""
        store = open_store(f"sqlite:///{self.ledger}")
        try:
            return list(store.calls(CallFilter(session=session)))
        finally:
            store.close()

    def sent(self, mark: str) -> int:
        """Requests behind the proxy whose prompt holds the mark."""
        return sum(mark in json.dumps(request.body) for request in self.provider.requests)


def script(request: Request) -> Reply:
    prompt = json.dumps(request.body)
    if "hangs-up" in prompt:
        return Reply(cut_after_chunks=0)
    if "fails-on-one" in prompt and request.body["model"] == "gpt-4o-mini":
        return Reply(status=500)
    return Reply(input_tokens=100, output_tokens=20, text="word " * 20)


@contextmanager
def running(config: Path, folder: Path, told: dict[str, str]) -> Iterator[str]:
    """A proxy of its own process; its address."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    log = folder / "proxy.log"
    command = [str(Path(sys.executable).with_name("litellm")), "--config", str(config), "--port", str(port)]
    env = {**os.environ, "LITELLM_LOCAL_MODEL_COST_MAP": "True", "NO_PROXY": "*", **told}
    with log.open("w") as out:
        process = subprocess.Popen(command, env=env, stdout=out, stderr=out, cwd=folder)
    try:
        _wait_for(process, f"http://127.0.0.1:{port}/health/liveliness", log)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def _wait_for(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    until = time.monotonic() + 120
    while time.monotonic() < until:
        assert process.poll() is None, log.read_text()[-3000:]
        try:
            if httpx.get(url, timeout=2).status_code == 200:
                return
        except httpx.HTTPError:
            pass
    raise TimeoutError(log.read_text()[-3000:])


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    """Started once: LiteLLM's proxy takes its time."""
    folder = tmp_path_factory.mktemp("proxy")
    with FakeProvider(script) as provider:
        ledger, config, policy = folder / "ledger.db", folder / "config.yaml", folder / "runguard.toml"
        policy.write_text(POLICY.format(ledger=ledger))
        config.write_text(CONFIG.format(url=provider.url, key=KEY))
        with running(config, folder, {"RUNGUARD_POLICY": str(policy)}) as url:
            yield Gateway(url, provider, ledger, folder / "proxy.log")
