"""What every store decides the same way when a user is forgotten: which texts become which, in events and amounts."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from runguard_core.budgets import without_user
from runguard_core.ledger import Account, Event

#: What may follow a title in a sentence: another user's id may begin with this one's.
_ENDS = r"(?=$|[\s,;:)'\"]|\.(?:\s|$))"


@dataclass(slots=True)
class Renaming:
    """From ids of a user to a pseudonym; `accounts` fills as accounts are seen."""

    users: Collection[str]
    pseudonym: str
    accounts: dict[str, tuple[Account, Account]] = field(default_factory=dict)

    def account(self, account: Account) -> Account | None:
        """The account under its new key and title; None where it stays. It is remembered."""
        after = without_user(account, self.users, self.pseudonym)
        if after is not None:
            self.accounts[account.key] = account, after
        return after

    def key(self, key: str | None) -> str | None:
        """An account's key as it is now."""
        return self.accounts[key][1].key if key in self.accounts else key

    def amounts(self, amounts: Mapping[str, int]) -> dict[str, int]:
        """Amounts by account under the keys of now."""
        return {self.accounts[key][1].key if key in self.accounts else key: amount for key, amount in amounts.items()}

    def event(self, event: Event) -> Event:
        """An event without the id: under the fact `user`, in keys and titles of accounts. Equal where it named none."""
        facts = {name: self._fact(name, value) for name, value in event.facts.items()}
        return replace(event, message=self.text(event.message), facts=facts)

    def _fact(self, name: str, value: Any) -> Any:
        if isinstance(value, str):
            return self.pseudonym if name == "user" and value in self.users else self.text(value)
        if isinstance(value, Mapping):
            return {key: self._fact(key, inner) for key, inner in value.items()}
        return [self._fact(name, inner) for inner in value] if isinstance(value, list) else value

    def text(self, text: str) -> str:
        """A text without keys and titles of the user's accounts, the longest first."""
        for before, after in sorted(self.accounts.values(), key=lambda pair: -len(pair[0].title)):
            if text == before.key:
                return after.key
            if before.title and before.title in text:
                text = re.sub(rf"(?<!\w){re.escape(before.title)}{_ENDS}", lambda _, title=after.title: title, text)  # type: ignore[misc]
        return text
