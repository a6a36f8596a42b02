"""A ledger file that was damaged anywhere: it is refused, or its check says so; the cap it kept is never open again."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from runguard_core.errors import StoreError, StoreUnavailableError
from runguard_core.ledger import Reserved
from runguard_core.stores import SqliteStore
from runguard_core.testing._ledger_values import LATER, a_call, a_settlement, holds

PAGE = 4096
ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def full(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ledger whose budget of 100 is spent to the last, all of it in the file."""
    path = tmp_path_factory.mktemp("full") / "l.db"
    store = SqliteStore(str(path))
    for number in range(40):
        store.reserve(a_call(f"c{number}"), holds(2), expires_at=LATER, owner="t")
        store.post(f"c{number}", a_settlement(2))
    store.reserve(a_call("last"), holds(20)[:2], expires_at=LATER, owner="t")
    store.post("last", a_settlement(20))
    store._connections.get().execute("PRAGMA wal_checkpoint(TRUNCATE)")
    store.close()
    return path


def admits(path: Path) -> bool:
    """Whether one more call would pass although the budget is spent; a file that is refused admits nothing."""
    try:
        store = SqliteStore(str(path), busy_seconds=0.1)
    except StoreError:
        return False
    try:
        return isinstance(store.reserve(a_call(), holds(1)[:2], expires_at=LATER, owner="t"), Reserved)
    except StoreError:
        return False
    finally:
        store.close()


def is_told(path: Path) -> bool:
    """Whether opening or checking the file says that something is wrong."""
    try:
        store = SqliteStore(str(path), busy_seconds=0.1)
    except StoreError as error:
        return str(path) in str(error)
    try:
        return store.verify() != ()
    except StoreError as error:
        return str(path) in str(error)
    finally:
        store.close()


def damaged(full: Path, tmp_path: Path, at: int, what: bytes) -> Path:
    """A copy with other bytes at a place."""
    path = tmp_path / f"{at}.db"
    shutil.copy(full, path)
    with path.open("r+b") as file:
        file.seek(at)
        file.write(what)
    return path


@pytest.mark.parametrize("how", ["zeroed", "noise"])
def test_no_damaged_page_opens_a_budget_that_is_spent(full: Path, tmp_path: Path, how: str) -> None:
    """Each page in turn: the header, the tables, the indexes."""
    chance = random.Random(7)
    pages = full.stat().st_size // PAGE
    assert pages > 15
    untold = []
    for page in range(pages):
        what = bytes(PAGE) if how == "zeroed" else chance.randbytes(PAGE)
        path = damaged(full, tmp_path, page * PAGE, what)
        if not is_told(path):
            untold.append(page)
        assert not admits(path), page
    assert untold == []


@pytest.mark.parametrize("share", [0.02, 0.3, 0.5, 0.9, 0.999])
def test_a_truncated_file_is_told_and_opens_nothing(full: Path, tmp_path: Path, share: float) -> None:
    """A copy that was cut short, a disk that lost the end."""
    path = tmp_path / "short.db"
    shutil.copy(full, path)
    os.truncate(path, int(full.stat().st_size * share))
    assert is_told(path)
    assert not admits(path)


def test_a_balance_changed_by_hand_is_found_by_verify(full: Path, tmp_path: Path) -> None:
    """What SQLite cannot know: the lines of the book do not add up to it."""
    path = tmp_path / "edited.db"
    shutil.copy(full, path)
    store = SqliteStore(str(path))
    store._connections.get().execute("UPDATE account SET posted = posted - 50 WHERE key = 'day'")
    assert [found.where for found in store.verify()] == ["account day"]
    store.close()


def test_a_file_that_turns_read_only_is_named_and_reading_goes_on(full: Path, tmp_path: Path) -> None:
    """A disk that was remounted after an error; the file's mode means nothing to root."""
    path = tmp_path / "l.db"
    shutil.copy(full, path)
    store = SqliteStore(str(path))
    store._connections.get().execute("PRAGMA query_only = ON")
    with pytest.raises(StoreUnavailableError, match="readonly") as caught:
        store.reserve(a_call(), holds(0), expires_at=LATER, owner="t")
    assert "make the file and its folder writable" in caught.value.way_out
    assert store.call("last") is not None
    assert store.verify() == ()
    store.close()


FULL_DISK = """
import resource, signal, sys
from runguard_core.errors import StoreUnavailableError
from runguard_core.stores import SqliteStore
from runguard_core.testing._ledger_values import LATER, a_call, a_settlement, holds
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = SqliteStore(sys.argv[1])
resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))
made = []
try:
    for number in range(100_000):
        store.reserve(a_call(f"c{number}"), holds(1, None)[:2], expires_at=LATER, owner="t")
        made.append(f"c{number}")
except StoreUnavailableError as error:
    assert "disk" in str(error) or "full" in str(error), error
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
store.post(made[-1], a_settlement(1))
assert store.verify() == ()
print(len(made), store.balances(["day"])["day"].pending)
store.close()
"""


def test_a_file_that_may_not_grow_loses_nothing(tmp_path: Path) -> None:
    """A real limit of the system in the middle of a write: what was acknowledged is there, and posts work once there is room."""
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / "l.db")], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    made, pending = map(int, done.stdout.split())
    assert made > 20
    assert pending == made - 1
