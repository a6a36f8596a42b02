"""The arithmetic of alerts: addresses, signatures, what an answer means, how long to wait."""

from __future__ import annotations

import base64
import hmac
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from runguard_core.alerts import Channel, ChannelKind, Result, verify_webhook, with_urls
from runguard_core.alerts._addresses import AddressRefusedError, is_public, resolved
from runguard_core.alerts._answers import MOST_TRIES, Answer, hold_seconds, judged, next_due_seconds
from runguard_core.alerts._posting import post
from runguard_core.alerts._signing import signed_headers
from tests.alerts.values import T0, later

PRIVATE = [
    "127.0.0.1", "0.0.0.0", "169.254.169.254", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.0.1", "192.0.2.1", "224.0.0.1",
    "240.0.0.1", "255.255.255.255", "::1", "::", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1", "2002:7f00:1::", "2002:a9fe:a9fe::", "fe80::1%eth0", "fec0::1", "fd00::1", "ff02::1",
    "::7f00:1", "2001:0:7f00:1::",
]  # fmt: skip


@pytest.mark.parametrize("address", PRIVATE)
def test_no_private_address_passes_for_a_public_one(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808", "2002:808:808::"])
def test_public_addresses_are_public(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize("host", ["localhost", "127.1", "2130706433", "0177.0.0.1", "0x7f.1"])
def test_other_spellings_of_this_machine_are_refused(host: str) -> None:
    with pytest.raises(AddressRefusedError, match=r"is at (127\.0\.0\.1|::1)"):
        resolved(host, 443, allow_private=False)


def test_the_connection_goes_to_the_address_that_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """A name server that answers with a public address first and this machine's afterwards gains nothing."""
    asked: list[str] = []
    connected: list[str] = []

    def rebinding(host: str, port: int, **_: object) -> list[tuple[object, ...]]:
        asked.append(host)
        address = "8.8.8.8" if len(asked) == 1 else "127.0.0.1"
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))]

    def connect(address: tuple[str, int], **_: object) -> socket.socket:
        connected.append(address[0])
        raise ConnectionRefusedError("nobody")

    monkeypatch.setattr(socket, "getaddrinfo", rebinding)
    monkeypatch.setattr(socket, "create_connection", connect)
    channel = Channel(name="ops", kind=ChannelKind.WEBHOOK, url="https://hooks.example.com/x")
    assert post(channel, b"{}", {}).is_sent is False
    assert (asked, connected) == (["hooks.example.com"], ["8.8.8.8"])
    assert "allow_private" in post(channel, b"{}", {}).words, "the second answer is refused"


@pytest.mark.parametrize(
    "url", ["", "ftp://x.example", "https://", "https://x:99999/", "https://[::1", "https://x/ü", "https://x/a b", "https://x/\n"]
)
def test_what_is_no_address_is_an_answer_and_no_error(url: str) -> None:
    answer = post(Channel(name="ops", kind=ChannelKind.WEBHOOK, url=url), b"{}", {})
    assert (answer.is_final, answer.words) == (True, "its address is no https:// URL")


def test_a_name_without_an_address_is_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    def nowhere(*_: object, **__: object) -> list[object]:
        raise socket.gaierror(-2, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", nowhere)
    answer = post(Channel(name="ops", kind=ChannelKind.WEBHOOK, url="https://hooks.example.com/secret-path"), b"{}", {})
    assert answer.words == "cannot connect to hooks.example.com: Name or service not known"
    assert judged(answer, T0).is_final is False


def test_a_signature_is_that_of_the_standard_and_verifies() -> None:
    """https://www.standardwebhooks.com: HMAC-SHA256 of "id.timestamp.body" in base 64, the key after "whsec_" too."""
    key = b"0123456789abcdef01234567"
    secret = "whsec_" + base64.b64encode(key).decode()
    headers = signed_headers(secret, "al-1", T0, b'{"a":1}')
    stamp = str(int(T0.timestamp()))
    by_hand = base64.b64encode(hmac.new(key, f'al-1.{stamp}.{{"a":1}}'.encode(), "sha256").digest()).decode()
    assert headers == {"webhook-id": "al-1", "webhook-timestamp": stamp, "webhook-signature": f"v1,{by_hand}"}
    shouted = {name.upper(): value for name, value in headers.items()}
    assert verify_webhook(secret, shouted, b'{"a":1}', later(200))
    assert not verify_webhook(secret, headers, b'{"a":2}', T0)
    assert not verify_webhook(secret, headers, b'{"a":1}', later(301)), "a replay"
    assert not verify_webhook("another", headers, b'{"a":1}', T0)
    assert not verify_webhook(secret, {**headers, "webhook-timestamp": "soon"}, b'{"a":1}', T0)
    assert not verify_webhook(secret, {}, b"", T0)


def test_tries_are_spread_over_hours_and_then_given_up() -> None:
    waits = [next_due_seconds(count, "al-1") for count in range(1, MOST_TRIES + 1)]
    assert waits[-1] is None
    seconds = [wait for wait in waits if wait is not None]
    assert seconds == sorted(seconds)
    assert 10 <= seconds[0] <= 12
    assert 8 * 3600 < sum(seconds) < 12 * 3600
    assert next_due_seconds(1, "al-1") == next_due_seconds(1, "al-1") != next_due_seconds(1, "al-2")


@given(st.integers(1, 10_000), st.floats(0, 30_000))
def test_a_channel_is_left_alone_as_long_as_it_asks_and_else_a_quarter_of_an_hour_at_most(streak: int, asked: float) -> None:
    assert max(asked, 10) <= hold_seconds(streak, asked) <= max(asked, 900)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("120", 120), ("0", 0), ("-5", 0), ("99999999999", 21_600), ("soon", 0), ("", 0), ("Tue, 24 Nov 2026 09:32:00 GMT", 120),
     ("Tue, 24 Nov 2020 09:32:00 GMT", 0), ("Tue, 24 Nov 2026 09:32:00", 120)],
)  # fmt: skip
def test_retry_after_is_seconds_or_a_date(header: str, seconds: float) -> None:
    assert judged(Answer(status=429, retry_after=header), T0).wait_seconds == seconds


def test_only_a_gateway_leaves_it_open_whether_it_arrived() -> None:
    for status in range(200, 600):
        found = judged(Answer(status=status), T0)
        assert (found.result is Result.SENT) == (status < 300)
        assert (found.result is Result.UNKNOWN) == (status in {408, 502, 504})
        assert found.is_final == (300 <= status < 500 and status not in {408, 425, 429})


def test_a_channel_of_a_url_is_named_without_its_secrets() -> None:
    urls = ["https://hooks.slack.com/services/T0/B0/S3CRET", "https://ops.example.com/in?key=S3CRET", "tgram://S3CRET/123"]
    found = with_urls({}, [*urls, "a-name"])
    assert [one.kind.value for one in found.values()] == ["slack", "webhook", "apprise"]
    assert "S3CRET" not in repr(found)
