"""What destinations get is within their limits, whatever is in the notice, and says who, what and where."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from runguard_core.alerts import Message, message_id
from runguard_core.alerts._shapes import as_json, dedup_key, envelope, pagerduty_event, plain_text, slack_message
from runguard_core.finops.owners import Step, Urgency
from tests.alerts.values import T0, a_notice

FACTS = {
    "rule": "session_spike", "seen_nanos": "12300000000", "expected_nanos": "400000000", "impact_nanos": "11900000000",
    "ratio": "30.75", "runbook": "https://wiki.example.com/search", "links": {"ledger": "https://x.example/a?b=c"},
}  # fmt: skip


def a_message(**more: Any) -> Message:
    notice = a_notice(**{"facts": FACTS, **more})
    return Message(id=message_id(notice, "ops"), app="shop", channel="ops", notice=notice, queued_at=T0)


def test_the_webhook_says_it_in_exact_amounts() -> None:
    body = envelope(a_message())
    assert (body["type"], body["severity"], body["scope"]["agent"]) == ("runguard.alert.trigger", "error", "planner")
    assert (body["observed_usd"], body["expected_usd"], body["impact_usd"], body["ratio"]) == ("12.3", "0.4", "11.9", "30.75")
    assert body["links"][0] == {"text": "runbook", "href": "https://wiki.example.com/search"}
    assert body["dedup_key"] == "runguard/shop/an-1"


def test_pagerduty_gets_an_event_that_opens_and_the_same_key_that_resolves() -> None:
    event = pagerduty_event(a_message(), "R" * 32)
    assert event is not None
    assert (event["event_action"], event["routing_key"], event["dedup_key"]) == ("trigger", "R" * 32, "runguard/shop/an-1")
    assert event["payload"]["severity"] == "error"
    assert event["payload"]["custom_details"]["impact"] == "$11.90"
    resolved = pagerduty_event(a_message(step=Step.RESOLVE), "R" * 32)
    assert resolved is not None
    assert (resolved["event_action"], resolved["dedup_key"]) == ("resolve", "runguard/shop/an-1")
    assert pagerduty_event(a_message(step=Step.REPORT), "R" * 32) is None


def test_slack_obeys_no_markup_of_a_notice_and_calls_nobody() -> None:
    message = slack_message(a_message(title="<!channel> run", text="see <http://evil|here>", to="<@U1>", facts={"a": "<!here>"}))
    header, *others = message["blocks"]
    assert header["text"] == {"type": "plain_text", "text": "🟠 <!channel> run", "emoji": True}, (
        "plain text is not read as markup"
    )
    said = json.dumps([message["text"], others])
    assert [word for word in ("<!channel", "<http://evil", "<@U1", "<!here") if word in said] == []
    assert message["text"] == "🟠 &lt;!channel&gt; run"


TEXT = st.text(max_size=30).map(lambda word: word * 200)


@given(
    about=TEXT,
    to=TEXT,
    title=TEXT,
    text=TEXT,
    agent=TEXT,
    fact=TEXT,
    urgency=st.sampled_from(Urgency),
    step=st.sampled_from(Step),
)
def test_every_limit_is_kept(
    about: str, to: str, title: str, text: str, agent: str, fact: str, urgency: Urgency, step: Step
) -> None:
    facts = {**{f"fact {number} {fact[:300]}": fact for number in range(40)}, "links": [f"https://x.example/{fact}"] * 30}
    message = a_message(about=about, to=to, title=title, text=text, agent=agent, facts=facts, urgency=urgency, step=step)
    assert len(dedup_key(message.notice)) <= 255
    event = pagerduty_event(message, "R" * 32)
    if event is not None:
        assert len(as_json(event)) < 512_000
        assert len(event.get("payload", {}).get("summary", "")) <= 1024
    slack = slack_message(message)
    assert len(slack["blocks"]) <= 50
    for block in slack["blocks"]:
        inner = [block["text"]] if "text" in block else []
        limit = 150 if block["type"] == "header" else 3000
        assert all(0 < len(one["text"]) <= limit for one in inner)
        assert len(block.get("fields", [])) <= 10
        assert all(0 < len(one["text"]) <= 2000 for one in block.get("fields", []))
        assert len(block.get("elements", [])) <= 10
    assert len(plain_text(message)[0]) <= 150
    as_json(envelope(message))
