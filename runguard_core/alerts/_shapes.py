"""A message in the words of its destination: bodies of requests, within the destination's limits. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

from runguard_core.alerts._messages import Message
from runguard_core.finops.owners import Notice, Step, Urgency
from runguard_core.money import format_usd, nanos_to_usd

#: PagerDuty Events v2: https://developer.pagerduty.com/docs/send-alert-event
_SUMMARY_CHARS, _DEDUP_CHARS, _DETAIL_CHARS = 1024, 255, 20_000
#: Slack's Block Kit: https://docs.slack.dev/reference/block-kit/blocks
_HEADER_CHARS, _SECTION_CHARS, _FIELD_CHARS, _FIELDS = 150, 3000, 2000, 10
#: Most services behind Apprise cut longer bodies themselves; none shows more than this.
_PLAIN_CHARS = 10_000
_MARKS = {Urgency.INFO: "ℹ️", Urgency.WARNING: "⚠️", Urgency.ERROR: "🟠", Urgency.CRITICAL: "🔴"}  # noqa: RUF001  Slack's own sign


def dedup_key(notice: Notice) -> str:
    """The same for every notice of one episode: folds them at a destination. At most 255 characters."""
    key = f"runguard/{notice.app}/{notice.about}"
    if len(key) <= _DEDUP_CHARS:
        return key
    return f"runguard/{blake2b(key.encode('utf-8', 'replace'), digest_size=16).hexdigest()}"


def details(notice: Notice) -> list[tuple[str, str]]:
    """Whom and what it concerns, as pairs for readers; amounts in USD, what is nested left out."""
    who = {key: getattr(notice, key) for key in ("feature", "agent", "team", "session")}
    found = [(key, str(value)) for key, value in who.items() if value]
    for key, value in notice.facts.items():
        if value is None or isinstance(value, (dict, list)) or key in who or value == "":
            continue
        label, said = key.replace("_", " "), str(value)
        if key.endswith("_nanos") and said.lstrip("-").isdecimal():
            label, said = label.removesuffix(" nanos"), format_usd(int(said))
        found.append((label, said))
    return found


def links(notice: Notice) -> list[tuple[str, str]]:
    """(text, address) of the notice's links: facts `runbook` and `links` (addresses, or addresses by text)."""
    given = notice.facts.get("links") or {}
    pairs = list(given.items()) if isinstance(given, Mapping) else [(str(one), one) for one in given]
    runbook = notice.facts.get("runbook")
    pairs = [*([("runbook", runbook)] if runbook else []), *pairs]
    return [(str(text), str(url)) for text, url in pairs if str(url).startswith(("https://", "http://"))]


def envelope(message: Message) -> dict[str, Any]:
    """The generic webhook's body; amounts are texts in USD, exact."""
    notice = message.notice
    amounts = {f"{name}_usd": _usd(notice.facts.get(fact)) for name, fact in _IMPACT.items()}
    return {
        "id": message.id, "type": f"runguard.alert.{notice.step.value}", "time": notice.at.isoformat(),
        "severity": notice.urgency.value, "dedup_key": dedup_key(notice), "app": notice.app,
        "scope": {key: getattr(notice, key) for key in ("feature", "agent", "team", "session")},
        "to": notice.to, "level": notice.level, "title": notice.title, "text": notice.text, **amounts,
        "ratio": notice.facts.get("ratio"), "detector": notice.facts.get("rule") or notice.facts.get("kind"),
        "links": [{"text": text, "href": url} for text, url in links(notice)], "facts": dict(notice.facts),
    }  # fmt: skip


_IMPACT = {"observed": "seen_nanos", "expected": "expected_nanos", "impact": "impact_nanos"}


def _usd(nanos: Any) -> str | None:
    said = str(nanos)
    return f"{nanos_to_usd(int(said)):f}" if said.lstrip("-").isdecimal() else None


def pagerduty_event(message: Message, routing_key: str) -> dict[str, Any] | None:
    """An event of Events API v2; None for a report: there is no incident in it."""
    notice = message.notice
    if notice.step is Step.REPORT:
        return None
    event: dict[str, Any] = {
        "routing_key": routing_key, "event_action": notice.step.value, "dedup_key": dedup_key(notice), "client": "RunGuard",
    }  # fmt: skip
    if notice.step is not Step.TRIGGER:
        return event
    summary = " ".join(notice.title.split()) or notice.about
    event["payload"] = {
        "summary": _cut(summary, _SUMMARY_CHARS), "source": f"runguard/{notice.app}", "severity": notice.urgency.value,
        "timestamp": notice.at.isoformat(), "component": notice.agent or notice.feature or notice.app,
        "group": notice.feature or notice.app, "class": str(notice.facts.get("rule") or notice.facts.get("kind") or notice.level),
        "custom_details": {"text": _cut(notice.text, _DETAIL_CHARS), "message": message.id, "to": notice.to,
                           **{key: _cut(value, _FIELD_CHARS) for key, value in details(notice)[:30]}},
    }  # fmt: skip
    event["links"] = [{"href": url, "text": _cut(text, _HEADER_CHARS)} for text, url in links(notice)[:10]]
    return event


def slack_message(message: Message) -> dict[str, Any]:
    """Blocks, and the fallback text that phones show."""
    notice = message.notice
    title = _title(notice)
    blocks: list[dict[str, Any]] = [
        {"type": "header", "text": {"type": "plain_text", "text": _cut(title, _HEADER_CHARS), "emoji": True}},
        {"type": "section", "text": _mrkdwn(_escaped(notice.text.strip() or title, _SECTION_CHARS))},
    ]
    pairs = [f"*{_escaped(label, 80)}*\n{_escaped(value, _FIELD_CHARS - 200)}" for label, value in details(notice)[:_FIELDS]]
    if pairs:
        blocks.append({"type": "section", "fields": [_mrkdwn(pair) for pair in pairs]})
    said = [f"for {_escaped(notice.to, 200)} ({notice.level})", f"{notice.at:%Y-%m-%d %H:%M} UTC", message.id]
    said += [f"<{url}|{_escaped(text, 80).replace('|', ' ')}>" for text, url in links(notice)[:5] if len(url) < 500]
    blocks.append({"type": "context", "elements": [_mrkdwn(one) for one in said]})
    return {"text": _cut(_escaped(title, _SECTION_CHARS), _SECTION_CHARS), "blocks": blocks}


def plain_text(message: Message) -> tuple[str, str]:
    """Title and body for everything that Apprise knows."""
    notice = message.notice
    lines = [notice.text, *(f"{label}: {value}" for label, value in details(notice))]
    lines += [f"{text}: {url}" for text, url in links(notice)]
    lines.append(f"for {notice.to} ({notice.level}), {notice.at:%Y-%m-%d %H:%M} UTC, {message.id}")
    return _cut(_title(notice), _HEADER_CHARS), _cut("\n".join(filter(None, lines)), _PLAIN_CHARS)


def as_json(document: Any) -> bytes:
    """Bytes of a body; the same document gives the same bytes."""
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "replace")


def _title(notice: Notice) -> str:
    mark = "✅" if notice.step is Step.RESOLVE else _MARKS[notice.urgency]
    return f"{mark} {' '.join(notice.title.split())}"


def _mrkdwn(text: str) -> dict[str, str]:
    return {"type": "mrkdwn", "text": text}


def _escaped(text: str, most: int) -> str:
    """No markup of Slack's in it, no one called by name (<!channel>), and not longer than `most` after that."""
    text = _cut(text, most)
    while len(found := text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")) > most:
        text = _cut(text[:-1], len(text) - max(1, (len(found) - most) // 4))
    return found


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: max(0, most - 1)] + "…"
