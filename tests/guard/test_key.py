"""The key of all digests, beside the ledger: one for all processes, whatever came between."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from runguard_core.guard._building import secret_of
from runguard_core.stores import state_directory


def test_everybody_who_starts_at_once_has_the_same_key(tmp_path: Path) -> None:
    """Half a key, read while it was written, would tell equal calls apart."""
    url = f"sqlite:///{tmp_path / 'l.db'}"
    with ThreadPoolExecutor(16) as pool:
        keys = set(pool.map(secret_of, [url] * 64))
    assert len(keys) == 1
    assert len(keys.pop()) == 32
    assert [path.name for path in tmp_path.iterdir()] == ["l.db.key"]
    assert stat.S_IMODE((tmp_path / "l.db.key").stat().st_mode) == 0o600


@pytest.mark.parametrize("left", ["", "no hexadecimal at all", "\n"])
def test_a_damaged_key_is_replaced_once_and_for_all(tmp_path: Path, left: str) -> None:
    """By a process that was killed while it wrote, for example; no program fails for it."""
    (tmp_path / "l.db.key").write_text(left)
    url = f"sqlite:///{tmp_path / 'l.db'}"
    assert secret_of(url) == secret_of(url)


def test_ledgers_in_memory_have_keys_of_their_own() -> None:
    """Nothing outlives them."""
    assert secret_of("memory://") != secret_of("memory://")


def test_a_ledger_that_is_elsewhere_has_one_key_on_each_host() -> None:
    """So that a restart of the program, or its neighbour, tells the same calls alike; the server never sees it."""
    one, other = "redis://ledger:6379/0?tenant=a", "redis://ledger:6379/0?tenant=b"
    assert secret_of(one) == secret_of(one)
    assert secret_of(one) != secret_of(other)
    files = list((state_directory() / "keys").iterdir())
    assert [stat.S_IMODE(path.stat().st_mode) for path in files] == [0o600, 0o600]
