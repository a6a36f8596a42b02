"""A destination over real HTTP that answers as it is told."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Answer = Callable[[BaseHTTPRequestHandler], None]


def status(code: int, body: str = "", **headers: str) -> Answer:
    """A plain answer; `Retry_After="7"` is a header."""

    def answer(request: BaseHTTPRequestHandler) -> None:
        request.send_response(code)
        for name, value in headers.items():
            request.send_header(name.replace("_", "-"), value)
        request.send_header("Content-Length", str(len(body)))
        request.end_headers()
        request.wfile.write(body.encode())

    return answer


def dropped(request: BaseHTTPRequestHandler) -> None:
    """The connection is closed without an answer."""
    request.close_connection = True


class Sink:
    """What came in, and what is answered: the answers in order, then 200."""

    def __init__(self) -> None:
        self.requests: list[tuple[dict[str, str], bytes]] = []
        self.answers: list[Answer] = []
        self.over = threading.Event()  # whoever is kept waiting goes home at the end
        self.arrived = threading.Condition()
        self.url = ""

    def hangs(self, request: BaseHTTPRequestHandler) -> None:
        """No answer for as long as the test lasts."""
        self.over.wait(60)

    def drips(self, request: BaseHTTPRequestHandler) -> None:
        """One byte of a status line at a time, and never the last one."""
        for byte in b"HTTP/1.1 200 " + b"O" * 1000:
            request.wfile.write(bytes([byte]))
            request.wfile.flush()
            if self.over.wait(0.05):
                return

    def wait_for(self, count: int, seconds: float = 20.0) -> None:
        """Until so many requests have come."""
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.requests) >= count, seconds), f"{len(self.requests)} of {count} came"

    @property
    def bodies(self) -> list[Any]:
        return [json.loads(body) for _, body in self.requests]

    def ids(self) -> Counter[str]:
        """How often each message came."""
        return Counter(body["id"] for body in self.bodies)


@contextmanager
def serving() -> Iterator[Sink]:
    """A sink on a port of its own."""
    sink = Sink()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"] or 0))
            with sink.arrived:
                sink.requests.append((dict(self.headers.items()), body))
                answer = sink.answers.pop(0) if sink.answers else status(200, "ok")
                sink.arrived.notify_all()
            with suppress(OSError):  # they have hung up
                answer(self)
            self.close_connection = True

        def log_message(self, *args: object) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    sink.url = f"http://127.0.0.1:{server.server_address[1]}/hook"
    try:
        yield sink
    finally:
        sink.over.set()
        server.shutdown()
        server.server_close()
        thread.join(5)
