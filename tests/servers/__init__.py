"""Real servers for tests: Valkey (or Redis) and PostgreSQL, from what is installed or from packages of the `dev` extra.

`valkey_url` and `postgres_url` are fixtures of every test: one server for the whole run of a worker, started when the first test
asks. `ValkeyServer` and `PostgresServer` are for tests that stop, kill and restart a server of their own. No container, no fixed
port, root or not; what was started ends with the tests, also when they are killed (`_keeper.py`).
"""

from tests.servers._finding import MissingServerError
from tests.servers._postgres import PostgresServer
from tests.servers._process import Log
from tests.servers._valkey import ValkeyServer

__all__ = ["Log", "MissingServerError", "PostgresServer", "ValkeyServer"]
