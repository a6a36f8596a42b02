"""Whose a key or project on a bill is: `[billing]` of the policy joins what the provider names with what the ledger names."""

from __future__ import annotations

from collections.abc import Sequence

from runguard_core.finops.bills._lines import BillLine
from runguard_core.values import value


@value(kw_only=True)
class BilledKey:
    """An entry of `[billing.keys]`.

    Attributes:
        name: for readers. provider: whose ids these are, None for any.
        ids: API keys, projects, workspaces, accounts, as bills and calls name them ("default": Anthropic's default workspace).
        fingerprints: of keys, as calls carry them. feature, team: whose it is; a feature, or all of a team's other features.
    """

    name: str
    provider: str | None = None
    ids: tuple[str, ...] = ()
    fingerprints: tuple[str, ...] = ()
    feature: str | None = None
    team: str | None = None


@value()
class Payer:
    """Whom a line of a bill and calls of the ledger are compared for; both None: what no entry of the policy names."""

    feature: str | None = None
    team: str | None = None

    @property
    def title(self) -> str:
        """For readers."""
        return self.feature or (f"team {self.team}" if self.team else "(no key of the policy)")


#: Lines and calls that no entry names are compared together.
ANYONE = Payer()


class KeyRing:
    """The entries that hold for one provider's bill."""

    def __init__(self, entries: Sequence[BilledKey], provider: str | None) -> None:
        """Take up the entries.

        Args:
            entries: the first that names an id holds. provider: of the bill; None for several.
        """
        its = [entry for entry in entries if entry.provider is None or provider is None or entry.provider == provider]
        payers = [(entry, Payer(entry.feature, None if entry.feature else entry.team)) for entry in its]
        self._ids: dict[str, Payer] = {}
        self._fingerprints: dict[str, Payer] = {}
        for entry, payer in payers:
            for named in entry.ids:
                self._ids.setdefault(named, payer)
            for named in entry.fingerprints:
                self._fingerprints.setdefault(named, payer)
        self._features = {payer.feature for _, payer in payers if payer.feature}
        self._teams = {payer.team for _, payer in payers if payer.team and not payer.feature}

    @property
    def asks_calls(self) -> bool:
        """Whether calls must be read one by one, for what they carry beside feature and team."""
        return bool(self._fingerprints)

    def of_line(self, line: BillLine) -> Payer:
        """The payer of a line of a bill."""
        for named in line.ids:
            if named in self._ids:
                return self._ids[named]
        return self.of_call(line.feature, None) if line.feature else ANYONE

    def unknown_id(self, line: BillLine) -> str | None:
        """What a line names that no entry does."""
        return None if not line.ids or any(named in self._ids for named in line.ids) else line.ids[-1]

    def of_call(self, feature: str | None, team: str | None, account: str | None = None, fingerprint: str | None = None) -> Payer:
        """The payer of a call: what it carries of the provider first, else its feature, else its team."""
        for found in (self._fingerprints.get(fingerprint or ""), self._ids.get(account or "")):
            if found is not None:
                return found
        if feature in self._features:
            return Payer(feature)
        return Payer(None, team) if team in self._teams else ANYONE
