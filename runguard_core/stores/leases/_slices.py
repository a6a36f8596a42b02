"""`Slice`: what this process has of one account, and how much it should ask for."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

from runguard_core.ledger import Account, Balance
from runguard_core.stores.leases._files import WORD_COUNT

#: No lease stands behind this slice: no hold has so high a limit.
NEVER = 2**63
#: A first slice is good for so many calls like the one that asks.
_FIRST_CALLS = 32
#: A slice should last about so long: used up sooner, the next one is twice as large; later, half as large.
_SHORT_SECONDS, _LONG_SECONDS = 1.0, 8.0
_MOST_WANT = 2**60


@dataclass(slots=True, eq=False)
class Slice:
    """One account as this process sees it. Amounts in the unit's smallest part.

    Attributes:
        key: of the account.
        shown: the limit that readers see.
        free: what may still be spent here; below 0 after an overrun, or where observed calls draw on nothing.
        limit: a hold with a lower limit must ask again; NEVER while there is no lease.
        posted, pending: of the account, ours included, as far as known; assumed, elsewhere: as the book said last; `elsewhere`
            is what other processes have leased.
        cut_posted, cut_pending: the part of the two sums that has been handed to the flush.
        leased: what the book says we have leased, after the last flush and grants.
        number: its name in the journal's present segment, 0 before it has one.
        word: which shared word asks for it.
        want: how much to ask for; granted_at: when it did, seconds on the stopwatch.
        used_at: when a flush last found it used.
        calm_until: until then a refusal is believed without asking others to give back; dry_until: nothing is fetched ahead;
            scarce_until: others want it, so no more is asked for than a call needs.
    """

    account: Account
    key: str
    shown: int | None
    free: int = 0
    limit: int = NEVER
    posted: int = 0
    pending: int = 0
    assumed: int = 0
    elsewhere: int = 0
    cut_posted: int = 0
    cut_pending: int = 0
    leased: int = 0
    number: int = 0
    word: int = 0
    want: int = 0
    granted_at: float = float("-inf")
    used_at: float = 0.0
    calm_until: float = float("-inf")
    dry_until: float = float("-inf")
    scarce_until: float = float("-inf")

    def learn(self, balance: Balance, own: int) -> None:
        """The book has spoken: its sums, and what we have done since.

        Args:
            own: how much of what is leased is ours.
        """
        self.posted, self.cut_posted = balance.posted + self.posted - self.cut_posted, balance.posted
        self.pending, self.cut_pending = balance.pending + self.pending - self.cut_pending, balance.pending
        self.assumed, self.leased = balance.assumed, own
        self.elsewhere = max(0, balance.leased - own)

    def next_want(self, amount: int, reading: float) -> int:
        """How much to ask for when a call of `amount` comes.

        Args:
            reading: the stopwatch, seconds.
        """
        if reading < self.scarce_until:
            return amount
        lasted = reading - self.granted_at
        want = self.want
        if lasted < _SHORT_SECONDS:
            want *= 2
        elif lasted > _LONG_SECONDS:
            want //= 2
        return min(max(want, amount * _FIRST_CALLS), _MOST_WANT)

    def granted(self, amount: int, limit: int, want: int, reading: float) -> None:
        """A slice has come, below a limit that is not lower than the one before; where little is left it is less than wanted."""
        self.free += amount
        self.leased += amount
        self.limit, self.want = limit, min(want, amount)
        self.granted_at = self.used_at = reading


def slice_for(account: Account, shown: int | None) -> Slice:
    """Nothing yet, of an account."""
    digest = blake2b(account.key.encode("utf-8", "replace"), digest_size=2).digest()
    return Slice(account, account.key, shown, word=1 + int.from_bytes(digest, "big") % (WORD_COUNT - 1))
