"""The guard in a real LiteLLM proxy process, over HTTP, on a ledger in a file."""

from __future__ import annotations

import json
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from runguard_core import CallFilter, open_store
from runguard_core.testing import FakeProvider
from tests.integrations.litellm_proxy.conftest import KEY, Gateway, running, script

pytestmark = pytest.mark.xdist_group("proxy")  # one proxy for all: it takes its time to start


def test_p00_the_example_runs_as_it_stands(tmp_path: Path) -> None:
    """Its config and its policy; the ledger is where its app's is."""
    folder = Path(__file__).parents[3] / "examples" / "litellm_proxy"
    with FakeProvider(script) as provider:
        told = {
            "RUNGUARD_POLICY": str(folder / "runguard.toml"), "PROVIDER_URL": provider.openai_url, "PROVIDER_KEY": "x", "PROXY_KEY": KEY,
        }  # fmt: skip
        with running(folder / "config.yaml", tmp_path, told) as url:
            body = {"model": "chat", "messages": [{"role": "user", "content": "hi"}], "user": "ada"}
            done = httpx.post(f"{url}/v1/chat/completions", json=body, headers={"authorization": f"Bearer {KEY}"}, timeout=60)
        assert done.status_code == 200, done.text
    store = open_store(f"sqlite:///{tmp_path / 'state' / 'gateway.db'}")
    assert [call.attribution.user for call in store.calls(CallFilter())] == ["ada"]
    store.close()


def test_p11_we_never_raise_in_the_middle_of_a_stream(gateway: Gateway) -> None:
    """The proxy would cut its body off: that hook is left alone."""
    from litellm.integrations.custom_logger import CustomLogger

    from runguard_litellm import RunGuardLogger

    for name in ("async_post_call_streaming_iterator_hook", "async_post_call_streaming_hook"):
        assert getattr(RunGuardLogger, name) is getattr(CustomLogger, name)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/chat/completions", {}),
        ("/v1/chat/completions", {"stream": True}),
        ("/v1/embeddings", {"model": "embed", "input": "hi"}),
        ("/v1/responses", {"input": "hi"}),
        ("/v1/messages", {"model": "claude", "max_tokens": 30}),
    ],
    ids=["chat", "stream", "embeddings", "responses", "messages"],
)
def test_p01_what_is_over_the_cap_is_a_402_in_json_and_goes_no_further(
    path: str, body: dict[str, Any], gateway: Gateway, request: pytest.FixtureRequest
) -> None:
    """Two pass and are exact; the third is refused in the shape of its protocol."""
    session = request.node.name
    for _ in range(2):
        assert gateway.post(path, session=session, **body).status_code == 200
    before = gateway.provider.request_count
    refused = gateway.post(path, session=session, **body)
    assert refused.status_code == 402, refused.text
    assert "budget 'session'" in json.dumps(refused.json())
    assert gateway.provider.request_count == before
    _settled(gateway, session, 2)


def _settled(gateway: Gateway, session: str, count: int) -> None:
    until = time.monotonic() + 30
    while time.monotonic() < until:
        found = gateway.calls(session)
        if len(found) == count and all(call.state.value != "pending" for call in found):
            break
    assert [(call.state.value, call.settlement.certainty.value) for call in found if call.settlement] == [
        ("posted", "exact")
    ] * count


def test_p02_a_budget_that_frees_is_a_429_with_retry_after(gateway: Gateway) -> None:
    """Clients wait as long as it takes, not for ever."""
    assert gateway.post(session="d1", user="daily").status_code == 200
    refused = gateway.post(session="d2", user="daily")
    assert refused.status_code == 429, refused.text
    assert 0 < int(refused.headers["retry-after"]) <= 86_400


def test_p03_the_proxys_phantom_calls_for_what_was_rejected_are_no_calls(gateway: Gateway) -> None:
    """It runs its logging for a request that its own gate rejected."""
    for _ in range(5):
        gateway.post(session="phantom", messages=[{"role": "user", "content": "phantom-mark"}])
    assert gateway.sent("phantom-mark") == 2
    _settled(gateway, "phantom", 2)


def test_p04_retries_and_fallbacks_share_one_call_id(gateway: Gateway) -> None:
    """Each attempt is an entry: three that failed, and the fallback's answer; the client sees the answer."""
    mark = [{"role": "user", "content": "fails-on-one"}]
    done = gateway.post(session="retries", headers={"x-litellm-tags": "free"}, messages=mark)
    assert done.status_code == 200, done.text
    found = gateway.calls("retries")
    assert gateway.sent("fails-on-one") == 4
    assert sorted(call.state.value for call in found) == ["posted", "voided", "voided", "voided"]
    assert {call.attribution.turn for call in found} == {1}


def test_p04_an_attempt_that_is_refused_ends_the_request_as_a_402(gateway: Gateway) -> None:
    """Two attempts broke off and may have been billed; neither a third nor the fallback is sent."""
    done = gateway.post(session="stopped", messages=[{"role": "user", "content": "hangs-up"}])
    assert gateway.sent("hangs-up") == 2
    assert done.status_code == 402, done.text
    assert sorted(call.state.value for call in gateway.calls("stopped")) == ["posted", "posted"]


def test_p05_sixty_four_at_once_are_two(gateway: Gateway) -> None:
    """The rest are refused, streams too."""
    with ThreadPoolExecutor(64) as pool:
        given = {"session": "crowd", "messages": [{"role": "user", "content": "crowd-mark"}]}
        statuses = list(pool.map(lambda n: gateway.post(stream=bool(n % 2), **given).status_code, range(64)))
    assert statuses.count(200) == 2 == gateway.sent("crowd-mark")
    assert set(statuses) <= {200, 402, 429}
    _settled(gateway, "crowd", 2)


def test_p06_a_client_that_hangs_up_in_mid_stream_is_charged(gateway: Gateway) -> None:
    """The call does not stay pending."""
    headers = {"authorization": f"Bearer {KEY}", "x-litellm-session-id": "hangup", "x-litellm-tags": "free"}
    body = {"model": "chat", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    with httpx.stream("POST", gateway.url + "/v1/chat/completions", json=body, headers=headers, timeout=60) as stream:
        next(stream.iter_lines())
    until = time.monotonic() + 60
    while time.monotonic() < until and [call.state.value for call in gateway.calls("hangup")] != ["posted"]:
        pass
    (only,) = gateway.calls("hangup")
    assert only.state.value == "posted"
    assert only.cost_nanos > 0


def test_p07_a_clients_automatic_retries_do_not_repeat_a_402(gateway: Gateway) -> None:
    """OpenAI's client repeats 429 and 503, and leaves 402 alone."""
    import openai

    client = openai.OpenAI(base_url=gateway.url + "/v1", api_key=KEY, default_headers={
        "x-litellm-session-id": "client", "x-litellm-tags": "capped=yes",
    })  # fmt: skip
    for _ in range(2):
        client.chat.completions.create(model="chat", messages=[{"role": "user", "content": "client-mark"}])
    with pytest.raises(openai.APIStatusError) as caught:
        client.chat.completions.create(model="chat", messages=[{"role": "user", "content": "client-mark"}])
    assert caught.value.status_code == 402
    assert gateway.sent("client-mark") == 2


def test_p08_key_team_user_tags_and_agent_reach_the_ledger(gateway: Gateway) -> None:
    """From headers and bodies as LiteLLM reads them, on every route."""
    headers = {"x-litellm-tags": "region:eu,beta", "x-litellm-customer-id": "ada", "x-litellm-agent-id": "planner"}
    gateway.post(session="who", headers=headers, metadata={"runguard_feature": "search"})
    gateway.post("/v1/responses", session="who", headers=headers, input="hi")
    first, second = gateway.calls("who")
    assert (first.attribution.user, first.attribution.feature) == ("ada", "search")
    assert dict(first.attribution.tags)["region"] == "eu"
    assert second.attribution.user == "ada"


def test_p09_no_session_is_no_way_around(gateway: Gateway) -> None:
    """LiteLLM's own iteration limit is off without a session header; a budget on anything else still holds."""
    headers = {"authorization": f"Bearer {KEY}"}
    body = {"model": "chat", "messages": [{"role": "user", "content": "hi"}], "user": "daily"}
    statuses = [
        httpx.post(gateway.url + "/v1/chat/completions", json=body, headers=headers, timeout=60).status_code for _ in range(3)
    ]
    assert statuses[1:] == [429, 429]


def test_p10_the_proxys_log_has_no_traceback_of_ours(gateway: Gateway) -> None:
    """Nothing went wrong that nobody saw."""
    log = gateway.log.read_text()
    assert "RunGuard could not" not in log
    assert "TypeError" not in log


@pytest.mark.parametrize(
    ("path", "body"), [("/v1/responses", {"input": "hi"}), ("/v1/messages", {"model": "claude", "max_tokens": 30})],
    ids=["responses", "messages"],
)  # fmt: skip
def test_p12_what_a_hook_sets_in_the_metadata_is_lost_on_some_routes(path: str, body: dict[str, Any], gateway: Gateway) -> None:
    """We set nothing there: a call is known by itself, its owner is read where the request comes in."""
    session = f"known by itself {path}"
    gateway.post(path, session=session, headers={"x-litellm-customer-id": "ada", "x-litellm-tags": "region=eu"}, **body)
    _settled(gateway, session, 1)
    (call,) = gateway.calls(session)
    assert (call.attribution.user, dict(call.attribution.tags)["region"]) == ("ada", "eu")
