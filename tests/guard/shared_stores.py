"""Ledgers that several processes share, one of each kind, by their URLs."""

from __future__ import annotations

import uuid
from pathlib import Path
from typing import Any

#: The kinds there are.
KINDS = ("sqlite", "redis", "postgresql")


def shared_url(kind: str, folder: Path, request: Any) -> str:
    """The URL of a fresh ledger; servers are started when first asked for."""
    name = f"t{uuid.uuid4().hex[:12]}"
    if kind == "sqlite":
        return f"sqlite:///{folder}/{name}.db"
    if kind == "postgresql":
        return f"{request.getfixturevalue('postgres_url')}&schema={name}"
    return f"{request.getfixturevalue('valkey_url')}?tenant={name}"
