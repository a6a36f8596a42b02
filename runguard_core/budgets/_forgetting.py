"""Accounts without a user's id: what a budget split by users leaves in keys and titles, under another name."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import replace

from runguard_core.ledger import Account

_USER = "user"
#: App, where, split, unit, period, start, zone: see `account_of`.
_PARTS = 7


def without_user(account: Account, users: Collection[str], pseudonym: str) -> Account | None:
    """The account under a pseudonym instead of one of these ids; None where it names none of them."""
    try:
        parts = json.loads(account.key)
    except ValueError:
        return None
    if not isinstance(parts, list) or len(parts) != _PARTS:
        return None
    named = [value for name, value in (*parts[1], *parts[2]) if name == _USER and value in users]
    if not named:
        return None
    for place in (1, 2):
        parts[place] = [[name, pseudonym if name == _USER and value in users else value] for name, value in parts[place]]
    title = account.title
    for user in named:
        title = title.replace(f"{_USER} {user}", f"{_USER} {pseudonym}")
    return replace(account, key=json.dumps(parts, ensure_ascii=True, separators=(",", ":")), title=title)
