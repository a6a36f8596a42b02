"""A proxy between a client and PostgreSQL, on a socket of its own, that loses replies when it is told to."""

from __future__ import annotations

import contextlib
import socket
import threading
from pathlib import Path
from urllib.parse import quote

from tests.servers import PostgresServer

_NAME = ".s.PGSQL.5432"


class Proxy:
    """Passes everything on, until `lose_reply` (the next reply is lost and the connection cut) or `swallow` (no reply comes)."""

    def __init__(self, server: PostgresServer, folder: Path) -> None:
        folder.mkdir()
        self.url = f"postgresql://postgres@/postgres?host={quote(str(folder))}"
        self.lost_count = 0
        self._server, self._lose, self._swallow = str(server.folder / _NAME), False, False
        self._lock, self._open = threading.Lock(), list[socket.socket]()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(folder / _NAME))
        self._listener.listen()
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def lose_reply(self) -> None:
        """The next thing the server says is lost, and the connection with it."""
        self._lose = True

    def swallow(self) -> None:
        """From now on nothing the server says arrives."""
        self._swallow = True

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.socket(socket.AF_UNIX)
                try:
                    server.connect(self._server)
                except OSError:
                    client.close()
                    continue
                with self._lock:
                    self._open += [client, server]
                for args in ((client, server, False), (server, client, True)):
                    thread = threading.Thread(target=self._pump, args=args, daemon=True)
                    self._threads.append(thread)
                    thread.start()

    def _pump(self, source: socket.socket, sink: socket.socket, is_reply: bool) -> None:
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if is_reply and self._swallow:
                    continue
                if is_reply and self._lose:
                    self._lose, self.lost_count = False, self.lost_count + 1
                    break
                sink.sendall(data)
        for one in (source, sink):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """End everything."""
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        with self._lock:
            for one in self._open:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(5)
        for one in self._open:
            one.close()
