"""A refreshed price list: fetched on command only, checked before it is kept."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from genai_prices.data_snapshot import set_custom_snapshot

from runguard_core import Guard
from runguard_core.guard import price_file

from .test_cli import document, run

LIST = [
    {
        "id": "acme", "name": "Acme", "api_pattern": "https://acme", "model_match": {"starts_with": "acme-"},
        "models": [{"id": "acme-1", "match": {"equals": "acme-1"}, "prices": {"input_mtok": 7, "output_mtok": 9}}],
    }
]  # fmt: skip


@pytest.fixture(autouse=True)
def bundled_again() -> Iterator[None]:
    """Other tests price by the list that was installed."""
    yield
    set_custom_snapshot(None)


@pytest.fixture
def serve() -> Iterator[tuple[str, dict[str, bytes]]]:
    """A server and what it answers."""
    answer = {"body": json.dumps(LIST).encode()}

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(answer["body"])

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}/data.json", answer
    server.shutdown()
    server.server_close()


def test_a_refreshed_list_is_used_by_the_next_guard(serve: tuple[str, dict[str, bytes]]) -> None:
    """And shown with its price."""
    assert "1 models" in run("prices", "--refresh", "--url", serve[0])
    refreshed = document("prices", "acme-1", "--refresh", "--url", serve[0])
    assert "1 models" in refreshed["refreshed"]
    assert "1 models" in document("prices", "--refresh", "--url", serve[0])["refreshed"]
    assert document("prices", "acme-1")["usd_per_mtok"]["standard"]["input"] == "7"
    guard = Guard(app="x", store="memory://", max_cost_per_session_usd="1")
    call = guard.model_call("acme-1", prompt="x" * 400)
    assert call.quote is not None
    assert call.quote.nanos
    call.void()
    guard.close()


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b"not json", b'[{"id": 5}]', b"\xff\xfe"])
def test_what_is_no_price_list_is_not_kept(serve: tuple[str, dict[str, bytes]], body: bytes) -> None:
    """The list in use stays."""
    serve[1]["body"] = body
    assert "provider list" in " ".join(run("prices", "--refresh", "--url", serve[0], code=1).split())
    assert not price_file().exists()


def test_an_address_that_does_not_answer_is_named() -> None:
    """With what was expected."""
    assert "127.0.0.1:9" in run("prices", "--refresh", "--url", "http://127.0.0.1:9/x", code=1)
    assert "http or https" in run("prices", "--refresh", "--url", "file:///etc/passwd", code=1)
    run("prices", code=2)


def test_a_damaged_list_is_passed_over(caplog: pytest.LogCaptureFixture) -> None:
    """A guard starts, and says so."""
    price_file().parent.mkdir(parents=True)
    price_file().write_text("{")
    Guard(app="x", store="memory://").close()
    assert "the list it was installed with" in caplog.text
