"""A wire that fails when it is told to: between a client and a server on this machine."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Iterator


class Proxy:
    """Forwards to a port. `mode` is "pass", "silence" (what is sent vanishes) or "lose answers" (asked, done, and cut)."""

    def __init__(self, port: int) -> None:
        self.upstream, self.mode = port, "pass"
        #: What must be in a question for its answer to be lost; so many answers are.
        self.about, self.to_lose = b"EVALSHA", 1
        self.lost = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                try:
                    server = socket.create_connection(("127.0.0.1", self.upstream))
                except OSError:
                    client.close()
                    continue
                self._open += [client, server]
                asked = threading.Event()
                for source, target, is_answer in ((client, server, False), (server, client, True)):
                    threading.Thread(target=self._pump, args=(source, target, is_answer, asked), daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, is_answer: bool, asked: threading.Event) -> None:
        with contextlib.suppress(OSError):
            while chunk := source.recv(65536):
                if self.mode == "silence":
                    continue
                if self.mode == "lose answers" and self.to_lose:
                    if not is_answer and self.about in chunk:
                        asked.set()
                    elif is_answer and asked.is_set():
                        self.to_lose -= 1
                        self.lost.set()
                        break
                target.sendall(chunk)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def cut(self) -> None:
        """End every connection there is."""
        for end in self._open:
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.cut()
        for end in self._open:
            end.close()


@contextlib.contextmanager
def between(port: int) -> Iterator[Proxy]:
    """A proxy for the time of a block."""
    proxy = Proxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
