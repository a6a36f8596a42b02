"""One HTTP POST, bounded in every way: to a checked address, in so many seconds, no redirects, little of the answer read."""

from __future__ import annotations

import http.client
import socket
import ssl
import threading
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import replace
from functools import cache
from urllib.parse import SplitResult, urlsplit

from runguard_core.alerts._addresses import AddressRefusedError, resolved
from runguard_core.alerts._answers import Answer
from runguard_core.alerts._channels import Channel

_CONNECT_SECONDS = 5.0
_READ_BYTES = 2_000
_SHOWN_CHARS = 200
#: Shorter parts of an address are words such as "hook", not secrets.
_SECRET_CHARS = 8


class Line:
    """The connection in use, so that another thread can cut it."""

    def __init__(self) -> None:
        """Nothing is open."""
        self._socket: socket.socket | None = None
        self.is_cut = False

    def hold(self, opened: socket.socket | None) -> None:
        """Remember the connection; None: it is closed."""
        self._socket = opened
        if self.is_cut:
            self.cut()

    def cut(self) -> None:
        """Whoever reads from it, or writes to it, fails at once."""
        self.is_cut = True
        opened = self._socket
        if opened is not None:
            with suppress(OSError):  # of a TLS connection the socket below: its own `shutdown` is for the thread that uses it
                socket.socket.shutdown(opened, socket.SHUT_RDWR)


def post(channel: Channel, body: bytes, headers: Mapping[str, str], line: Line | None = None) -> Answer:
    """Send it; whatever happens is an answer.

    What is said of a failure names the host, never the path: a path may be a secret.
    """
    line, end = line or Line(), time.monotonic() + channel.timeout_seconds
    where = split(channel.url)
    mistake = _mistake(where, channel)
    if mistake:
        return Answer(words=mistake, is_sent=False, is_final=True)
    answer = _posted(channel, where, end, body, headers, line)
    return replace(answer, words=redacted(channel, answer.words))


def split(url: str) -> SplitResult:
    """The parts of a URL; one that is none has no parts."""
    try:
        return urlsplit(url)
    except ValueError:
        return urlsplit("")


def redacted(channel: Channel, words: str) -> str:
    """What a destination says, without what is secret of it: some repeat what they were sent."""
    where = split(channel.url)
    for secret in sorted({channel.url, where.path.strip("/"), where.query, channel.secret}, key=len, reverse=True):
        if len(secret) >= _SECRET_CHARS:
            words = words.replace(secret, "***")
    return words[:_SHOWN_CHARS]


def _posted(channel: Channel, where: SplitResult, end: float, body: bytes, headers: Mapping[str, str], line: Line) -> Answer:
    try:
        opened = _opened(where, channel, end)
    except AddressRefusedError as error:
        return Answer(words=f"{error}; `allow_private = true` allows it", is_sent=False, is_final=True)
    except (OSError, ValueError) as error:  # ValueError: a host that is no name
        return Answer(words=f"cannot connect to {where.hostname}: {_words(error)}", is_sent=False)
    timer = threading.Timer(max(0.0, end - time.monotonic()), line.cut)
    timer.daemon = True
    line.hold(opened)
    timer.start()
    try:
        return _exchanged(opened, where, body, headers)
    except (OSError, http.client.HTTPException, ValueError) as error:
        late = f"no answer in {channel.timeout_seconds:g} s" if time.monotonic() >= end else _words(error)
        return Answer(words=f"{where.hostname}: {late}")
    finally:
        timer.cancel()
        line.hold(None)
        opened.close()


def _mistake(where: SplitResult, channel: Channel) -> str:
    try:
        has_port = where.port is None or where.port > 0
    except ValueError:
        has_port = False
    is_plain = channel.url.isascii() and channel.url.isprintable() and " " not in channel.url
    if where.scheme not in {"https", "http"} or not where.hostname or not has_port or not is_plain:
        return "its address is no https:// URL"
    if where.scheme == "http" and not channel.allow_http:
        return "its address is plain http; `allow_http = true` allows it"
    return ""


def _opened(where: SplitResult, channel: Channel, end: float) -> socket.socket:
    """A connection to one of the checked addresses, TLS included."""
    host = str(where.hostname)
    port = where.port or (443 if where.scheme == "https" else 80)
    failed: OSError | None = None
    for address in resolved(host, port, allow_private=channel.allow_private):
        left = min(_CONNECT_SECONDS, end - time.monotonic())
        if left <= 0:
            raise TimeoutError("timed out") from failed
        try:
            plain = socket.create_connection((address, port), timeout=left)
        except OSError as error:
            failed = error
            continue
        return _secured(plain, host, max(0.1, end - time.monotonic())) if where.scheme == "https" else plain
    raise failed or OSError("no address")


def _secured(plain: socket.socket, host: str, seconds: float) -> socket.socket:
    try:
        plain.settimeout(min(seconds, _CONNECT_SECONDS))
        return _trust().wrap_socket(plain, server_hostname=host)
    except BaseException:
        plain.close()
        raise


@cache
def _trust() -> ssl.SSLContext:
    return ssl.create_default_context()


def _exchanged(opened: socket.socket, where: SplitResult, body: bytes, headers: Mapping[str, str]) -> Answer:
    opened.settimeout(None)  # the line is cut when the time is over
    connection = http.client.HTTPConnection(str(where.hostname))
    connection.sock = opened
    path = (where.path or "/") + (f"?{where.query}" if where.query else "")
    host = where.netloc.rpartition("@")[2]
    connection.request("POST", path, body, {"Host": host, "Connection": "close", "User-Agent": "RunGuard", **headers})
    answer = connection.getresponse()
    words = _beginning(answer)
    if 300 <= answer.status < 400:
        words = f"to {urlsplit(answer.headers.get('Location', '')).hostname or 'elsewhere'}"
    return Answer(status=answer.status, words=words, retry_after=answer.headers.get("Retry-After", ""))


def _beginning(answer: http.client.HTTPResponse) -> str:
    """The answer's first words; that its end does not come changes nothing of its status."""
    try:
        read = answer.read(_READ_BYTES)
    except (OSError, http.client.HTTPException):
        return ""
    return " ".join(read.decode("utf-8", "replace").split())[:_SHOWN_CHARS]


def _words(error: Exception) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is not trusted ({error.verify_message})"
    if isinstance(error, TimeoutError):
        return "timed out"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__
