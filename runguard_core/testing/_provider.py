"""`FakeProvider`: a local server that speaks the providers' wire formats and counts what it is sent."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from runguard_core.testing import _wire as wire
from runguard_core.testing._reply import Reply, Request

Script = Sequence[Reply] | Callable[[Request], Reply]

#: By the end of the path, so that any base address will do; the first that fits.
_PROTOCOLS = (
    ("/chat/completions", "openai"), ("/completions", "completions"), ("/messages", "anthropic"), ("/responses", "responses"),
    ("/embeddings", "embeddings"), ("/images/generations", "image"), ("/audio/speech", "speech"),
    ("/audio/transcriptions", "transcription"), ("/rerank", "rerank"),
)  # fmt: skip


def _protocol(path: str) -> str:
    bare = path.partition("?")[0]
    return next((name for end, name in _PROTOCOLS if bare.endswith(end)), "unknown")


def _read(raw: bytes) -> Any:
    """The request's JSON; an upload (audio) has none."""
    try:
        return json.loads(raw) if raw else {}
    except ValueError:
        return {}


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256
    block_on_close = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is part of the play, not an error to print."""


class FakeProvider:
    """Serves a script: a sequence (its last reply repeats) or a function of the request. Use it with `with`.

    Attributes:
        openai_url, anthropic_url: base addresses for the clients.
    """

    def __init__(self, script: Script | None = None) -> None:
        """Keep the script (a plain "ok" when left out); the server starts with `start` or `with`."""
        self._script: Script = script or (Reply(),)
        self._requests: list[Request] = []
        self._arrived = threading.Condition()
        self._closing = threading.Event()
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        """Address of the server, without a path."""
        assert self._server is not None, "start the provider first"
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def openai_url(self) -> str:
        """Base address for OpenAI's client."""
        return f"{self.url}/v1"

    @property
    def anthropic_url(self) -> str:
        """Base address for Anthropic's client."""
        return self.url

    @property
    def requests(self) -> tuple[Request, ...]:
        """What has arrived so far."""
        with self._arrived:
            return tuple(self._requests)

    @property
    def request_count(self) -> int:
        """How many have arrived so far."""
        return len(self._requests)

    @property
    def input_tokens(self) -> int:
        """Prompt tokens of everything served: what a bill would say."""
        return sum(request.input_tokens for request in self.requests)

    @property
    def output_tokens(self) -> int:
        """Answer tokens of everything served."""
        return sum(request.output_tokens for request in self.requests)

    def wait_for(self, count: int, timeout_seconds: float = 10.0) -> None:
        """Block until `count` requests have arrived.

        Raises:
            TimeoutError: they did not.
        """
        with self._arrived:
            if not self._arrived.wait_for(lambda: len(self._requests) >= count, timeout_seconds):
                raise TimeoutError(f"{len(self._requests)} of {count} requests arrived")

    def start(self) -> Self:
        """Listen on a free port of 127.0.0.1."""
        provider = self

        handler = type("Handler", (_Handler,), {"owner": provider})
        self._server = _Server(("127.0.0.1", 0), handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="fake-provider", daemon=True).start()
        return self

    def close(self) -> None:
        """Stop listening; answers still waiting are let go."""
        self._closing.set()
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def __enter__(self) -> Self:
        """As `start`."""
        return self.start()

    def __exit__(self, *exc: object) -> None:
        """As `close`."""
        self.close()

    def take(self, path: str, headers: dict[str, str], body: Any) -> tuple[Request, str]:
        """Register a request and decide its answer; the reason why the answer ends."""
        protocol = _protocol(path)
        with self._arrived:
            request = Request(len(self._requests), protocol, path, headers, body, Reply())
            request.reply = self._reply(request)
            request.input_tokens, request.output_tokens, finish = wire.tokens_of(protocol, body, request.reply)
            self._requests.append(request)
            self._arrived.notify_all()
        return request, finish

    def _reply(self, request: Request) -> Reply:
        if callable(self._script):
            return self._script(request)
        return self._script[min(request.index, len(self._script) - 1)]

    def wait(self, reply: Reply) -> None:
        """Hold the answer back until its gate opens, its delay is over, or the server closes."""
        if reply.delay_seconds:
            self._closing.wait(reply.delay_seconds)
        if reply.gate is not None:
            while not reply.gate.wait(0.05) and not self._closing.is_set():
                pass


class _Handler(BaseHTTPRequestHandler):
    owner: FakeProvider
    protocol_version = "HTTP/1.1"
    # answers are small and complete; waiting to fill packets would cost 40 ms each
    disable_nagle_algorithm = True

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
        """Say nothing."""

    def do_POST(self) -> None:
        """Answer one request by the script."""
        length = int(self.headers.get("content-length") or 0)
        raw = self.rfile.read(length)
        body = _read(raw)
        headers = {key.lower(): value for key, value in self.headers.items()}
        try:
            request, finish = self.owner.take(self.path, headers, body)
        except Exception as error:  # noqa: BLE001  a script is the test's own code: its author is to read what went wrong
            self._refuse(f"FakeProvider's script failed: {error!r}")
            return
        reply = request.reply
        if request.is_stream and reply.status < 400 and reply.body is None:
            self._stream(request, finish)
            return
        self.owner.wait(reply)
        if reply.cut_after_chunks is not None:
            self.close_connection = True
            self.connection.close()
            return
        self._whole(request, finish)

    def _refuse(self, message: str) -> None:
        payload = json.dumps(wire.error_of(_protocol(self.path), 400, message)).encode()
        self.send_response(400)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)

    def _whole(self, request: Request, finish: str) -> None:
        reply = request.reply
        if reply.body is not None:
            payload = reply.body
        elif reply.status >= 400 or request.protocol == "unknown":
            payload = json.dumps(wire.error_of(request.protocol, reply.status)).encode()
        else:
            answer = wire.answer_of(request, finish)
            payload = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
        status = 404 if request.protocol == "unknown" and reply.status == 200 else reply.status
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(payload)))
        self.send_header("x-request-id", f"req-{request.index}")
        if reply.retry_after_seconds is not None:
            self.send_header("retry-after", f"{reply.retry_after_seconds:g}")
        self.end_headers()
        request.is_complete = True  # before the bytes: a client may look as soon as it has them
        self.wfile.write(payload)

    def _stream(self, request: Request, finish: str) -> None:
        reply = request.reply
        self.close_connection = True
        self.send_response(200)
        self.send_header("content-type", "text/event-stream")
        self.send_header("x-request-id", f"req-{request.index}")
        self.send_header("transfer-encoding", "chunked")  # so that a client can tell a cut from an end
        self.end_headers()
        if not reply.gate_after_chunks:
            self.owner.wait(reply)
        for piece in wire.stream_of(request, finish):
            if reply.cut_after_chunks is not None and request.chunks_written >= reply.cut_after_chunks:
                return
            if reply.gate_after_chunks and request.chunks_written == reply.gate_after_chunks:
                self.owner.wait(reply)
            encoded = wire.encode(piece)
            self.wfile.write(b"%x\r\n%s\r\n" % (len(encoded), encoded))
            request.chunks_written += 1
        request.is_complete = True
        self.wfile.write(b"0\r\n\r\n")
