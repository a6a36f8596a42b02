"""`ValkeyServer`: a Valkey or Redis of one's own."""

from __future__ import annotations

import random
import signal
import socket
from pathlib import Path

from tests.servers._finding import valkey_server
from tests.servers._process import Process, place, remove

#: Below the ports that systems give to outgoing connections.
_PORTS = range(15000, 32000)
_DURABLE = ("--appendonly", "yes", "--appendfsync", "everysec")


class ValkeyServer:
    """Listens on a free port of 127.0.0.1; keeps its folder and its port over `kill` and `start`.

    Args:
        settings: of the command line, for example "--maxmemory", "3mb"; the later one counts. It keeps an append-only file and
            evicts nothing unless they say otherwise.
    """

    def __init__(self, *settings: str) -> None:
        self.settings = list(settings)
        self.folder: Path = place().new_folder("v")
        self.port = 0
        self._process: Process | None = None
        self.start()

    @property
    def url(self) -> str:
        """For clients."""
        return f"redis://127.0.0.1:{self.port}/0"

    @property
    def process(self) -> Process:
        """The one that runs, or ran last."""
        assert self._process is not None
        return self._process

    def start(self) -> None:
        """Start, or start again where it was: the same port, the same folder."""
        for _ in range(1 if self.port else 20):
            port = self.port or _free_port()
            process = self._process = Process(self._command(port), folder=self.folder, quick=signal.SIGKILL)
            if "Ready" in process.log.wait_for("Ready to accept connections", "Failed listening") and process.is_running:
                self.port = port
                return
            process.end()
        raise RuntimeError(f"{' '.join(process.command)} did not start:\n{process.log.tail()}")

    def _command(self, port: int) -> list[str]:
        place = [
            "--port",
            str(port),
            "--bind",
            "127.0.0.1",
            "--dir",
            str(self.folder),
            "--save",
            "",
            "--repl-diskless-sync-delay",
            "0",
        ]
        return [valkey_server(), *place, *_DURABLE, "--maxmemory-policy", "noeviction", *self.settings]

    def kill(self) -> None:
        """kill -9."""
        self.process.end(signal.SIGKILL)

    def stop(self) -> None:
        """Shut down in order."""
        self.process.end(signal.SIGTERM)

    def pause(self) -> None:
        """Leave connections open and answer nothing, until `resume`."""
        self.process.send(signal.SIGSTOP)

    def resume(self) -> None:
        """Go on."""
        self.process.send(signal.SIGCONT)

    def close(self) -> None:
        """Kill it and delete what it kept."""
        self.kill()
        remove(self.folder)


def _free_port() -> int:
    while True:
        port = random.choice(_PORTS)
        with socket.socket() as tried:
            try:
                tried.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
