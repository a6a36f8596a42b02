"""`CassetteProvider`: serves recorded HTTP exchanges (vcrpy's YAML) to real clients."""

from __future__ import annotations

import base64
import gzip
import json
import threading
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from runguard_core.testing._provider import _Server

_DROPPED_HEADERS = frozenset({"content-length", "content-encoding", "transfer-encoding", "connection"})


@dataclass(slots=True)
class Exchange:
    """One recorded request and its answer; `played` once it has been served."""

    method: str
    path: str
    request_body: Any
    status: int
    headers: dict[str, str]
    body: bytes
    played: bool = False


class CassetteProvider:
    """Serves the exchanges of a file in their order, matched by method and path. Use it with `with`.

    Reads vcrpy's format, and the variant that keeps JSON under `parsed_body`.
    """

    def __init__(self, path: Path) -> None:
        """Read the file (needs PyYAML, which comes with vcrpy)."""
        import yaml  # noqa: PLC0415  only tests need it

        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        recorded = yaml.load(path.read_text("utf-8"), Loader=loader)  # noqa: S506  a safe loader
        self.exchanges = [_exchange(item) for item in recorded["interactions"]]
        self._lock = threading.Lock()
        self._server: _Server | None = None

    @property
    def url(self) -> str:
        """Address of the server, without a path."""
        assert self._server is not None, "start the provider first"
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    @property
    def unplayed(self) -> list[Exchange]:
        """What was not asked for."""
        return [exchange for exchange in self.exchanges if not exchange.played]

    def take(self, method: str, path: str) -> Exchange | None:
        """The next recorded answer for a request; None when there is none left."""
        with self._lock:
            for exchange in self.exchanges:
                if not exchange.played and (exchange.method, exchange.path) == (method, path.partition("?")[0]):
                    exchange.played = True
                    return exchange
        return None

    def __enter__(self) -> Self:
        """Listen on a free port of 127.0.0.1."""
        cassette = self

        handler = type("Handler", (_CassetteHandler,), {"owner": cassette})
        self._server = _Server(("127.0.0.1", 0), handler)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="cassette", daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()


class _CassetteHandler(BaseHTTPRequestHandler):
    owner: CassetteProvider

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002  the base class's name
        """Say nothing."""

    def _answer(self) -> None:
        self.rfile.read(int(self.headers.get("content-length") or 0))
        exchange = self.owner.take(self.command, self.path)
        if exchange is None:
            self.send_error(404, "the cassette has no such exchange left")
            return
        self.send_response(exchange.status)
        for name, value in exchange.headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(exchange.body)))
        self.end_headers()
        self.wfile.write(exchange.body)

    do_POST = do_GET = _answer  # noqa: N815  the base class's names


def _exchange(item: dict[str, Any]) -> Exchange:
    request, response = item["request"], item["response"]
    headers = {k.lower(): (v[0] if isinstance(v, list) else v) for k, v in (response.get("headers") or {}).items()}
    body = json.dumps(response["parsed_body"]).encode() if "parsed_body" in response else _bytes(response.get("body"))
    if body[:2] == b"\x1f\x8b":
        body = gzip.decompress(body)
    status = response.get("status_code") or (response.get("status") or {}).get("code", 200)
    kept = {k: str(v) for k, v in headers.items() if k not in _DROPPED_HEADERS}
    return Exchange(request["method"], urlsplit(request["uri"]).path, _json(request), int(status), kept, body)


def _bytes(body: Any) -> bytes:
    if isinstance(body, dict):
        if "base64_string" in body:
            return base64.b64decode(body["base64_string"])
        body = body.get("string", body.get("encoding", ""))
    if isinstance(body, bytes):
        return body
    return (body or "").encode("utf-8")


def _json(request: dict[str, Any]) -> Any:
    if "parsed_body" in request:
        return request["parsed_body"]
    try:
        return json.loads(_bytes(request.get("body")) or b"null")
    except ValueError:
        return None
