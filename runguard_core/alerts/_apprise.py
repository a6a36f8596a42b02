"""Delivery through Apprise, which knows more than a hundred services by their URLs. The only file that imports it.

It resolves names and follows its own time-outs; the address of a URL that names a host is checked here before, but the connection
is Apprise's own. It tells an answer from a time-out only in what it logs, so that a failure without a status counts as unknown.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

from runguard_core.alerts._addresses import AddressRefusedError, resolved
from runguard_core.alerts._answers import Answer
from runguard_core.alerts._channels import Channel
from runguard_core.alerts._messages import Message
from runguard_core.alerts._shapes import plain_text
from runguard_core.finops.owners import Step, Urgency

WAY_OUT = "Apprise is not installed: pip install 'runguard-core[alerts]'"
_KINDS = {Urgency.INFO: "info", Urgency.WARNING: "warning", Urgency.ERROR: "failure", Urgency.CRITICAL: "failure"}
_STATUS = re.compile(r"\berror=(\d{3})\b")


def send(channel: Channel, message: Message) -> Answer:
    """Send it; whatever happens is an answer, and none of it names the URL."""
    try:
        import apprise  # noqa: PLC0415  an extra
    except ImportError:
        return Answer(words=WAY_OUT, is_sent=False, is_final=True)
    except Exception as error:  # noqa: BLE001  it loads a hundred modules, and where warnings are errors one of them raises
        return Answer(words=f"Apprise cannot be loaded: {type(error).__name__}: {error}", is_sent=False, is_final=True)
    asset = apprise.AppriseAsset(async_mode=False, app_id="RunGuard", app_desc="RunGuard", storage_mode="memory")
    asset.http_redirects = False  # older ones follow
    sender = apprise.Apprise(asset=asset)
    if not sender.add(channel.url):
        return Answer(words="Apprise does not understand its URL", is_sent=False, is_final=True)
    refused = _refused(channel, sender)
    if refused is not None:
        return refused
    for one in sender:
        one.socket_connect_timeout = min(5.0, channel.timeout_seconds)
        one.socket_read_timeout = channel.timeout_seconds
    title, body = plain_text(message)
    kind = "success" if message.notice.step is Step.RESOLVE else _KINDS[message.notice.urgency]
    return _within(2 * channel.timeout_seconds, lambda: sender.notify(body=body, title=title, notify_type=kind))


def _within(seconds: float, notify: Callable[[], Any]) -> Answer:
    """Its answer, if it comes in time: a destination that answers byte by byte would keep Apprise for ever."""
    answers: list[Answer] = []

    def work() -> None:
        try:
            answers.append(_answer(notify()))
        except Exception as error:  # noqa: BLE001  a hundred services' code may raise anything, and its words may hold the URL
            answers.append(Answer(words=f"Apprise failed with {type(error).__name__}"))

    worker = threading.Thread(target=work, name="runguard-apprise", daemon=True)
    worker.start()
    worker.join(seconds)
    return answers[0] if answers else Answer(words=f"Apprise was not done in {seconds:g} s")


def _refused(channel: Channel, sender: Any) -> Answer | None:
    """A host that the URL names and that is at a private address, or plain http to a host."""
    for one in sender:
        host = str(getattr(one, "host", "") or "")
        has_host = "." in host or ":" in host or host == "localhost" or getattr(one, "fullpath", None) is not None
        if not host or not has_host:
            continue  # what stands there is a token
        if not channel.allow_http and getattr(one, "secure", True) is False:
            return Answer(words="its URL speaks plain http; `allow_http = true` allows it", is_sent=False, is_final=True)
        try:
            resolved(host, getattr(one, "port", None) or 443, allow_private=channel.allow_private)
        except AddressRefusedError:
            words = "its host is at no public address; `allow_private = true` allows it"
            return Answer(words=words, is_sent=False, is_final=True)
        except (OSError, ValueError):
            return Answer(words="its host has no address", is_sent=False)
    return None


def _answer(found: Any) -> Answer:
    """True, False, or (since 2.0) a result that says more."""
    if found:
        return Answer(status=200, words="Apprise says so")
    logs = " ".join(str(entry) for result in getattr(found, "results", ()) for entry in _logs(result))
    status = _STATUS.search(logs)
    if status is not None:
        return Answer(status=int(status[1]), words="as Apprise says")
    return Answer(words="Apprise reports a failure, and not whether anything was sent")


def _logs(result: Any) -> list[Any]:
    return [entry for attempt in getattr(result, "attempts", ()) for entry in getattr(attempt, "logs", ())]
