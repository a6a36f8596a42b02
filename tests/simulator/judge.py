"""The judge: knows what providers charged, and looks after every step whether the ledger may say what it says."""

from __future__ import annotations

from typing import TYPE_CHECKING

from runguard_core.ledger import CallState, Hold, Owner, Refusal
from runguard_core.stores._sqlite_leasing import SqliteLeases

if TYPE_CHECKING:
    from tests.simulator.client import Client, Sent
    from tests.simulator.machine import Machine
    from tests.simulator.world import World


class BrokenPromiseError(AssertionError):
    """A promise is broken."""


class Judge:
    """Facts that no process knows.

    Attributes:
        limits: by account; None where it is only observed.
        truth: charged by providers, by account.
        overrun: of it, above what was set aside; unposted: of that, what nobody has heard to be posted yet.
        certain: what was acknowledged to processes whose journal nothing has happened to: it must be in the book exactly.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._reader: SqliteLeases | None = None
        self.limits: dict[str, int | None] = {}
        self.truth: dict[str, int] = {}
        self.overrun: dict[str, int] = {}
        self.unposted: dict[str, int] = {}
        self._cut_count = 0
        self._owners: dict[str, Owner] = {}
        self.certain: dict[str, tuple[Machine, Sent]] = {}

    # -- what it is told ---------------------------------------------------------------------------------------------

    def sent(self, sent: Sent) -> None:
        """A provider has charged."""
        for hold in sent.holds:
            key = hold.account.key
            self.truth[key] = self.truth.get(key, 0) + (sent.actual or 0)
            self.overrun[key] = self.overrun.get(key, 0) + sent.overrun
            self.unposted[key] = self.unposted.get(key, 0) + sent.overrun

    def heard(self, client: Client, sent: Sent) -> None:
        """A process was told that its call is settled."""
        for hold in sent.holds:
            self.unposted[hold.account.key] -= sent.overrun
        self.certain[sent.call.id] = (client.machine, sent)

    def died(self, client: Client) -> None:
        """What it had in flight is known to nobody."""

    def cut(self, machine: Machine) -> None:
        """What was acknowledged on a machine that lost its power may be gone; leases are charged for it."""
        self._cut_count += 1
        for call_id, (where, sent) in tuple(self.certain.items()):
            if where is machine:
                del self.certain[call_id]
                for hold in sent.holds:
                    self.unposted[hold.account.key] += sent.overrun

    def admitted(self, client: Client, call_id: str, holds: tuple[Hold, ...]) -> None:
        """Just now: a call that leases have paid for was paid out of what was leased below its limit, or below a lower one."""
        holdings = client.holdings
        if holdings is None or call_id not in holdings.open:
            return
        for hold in holds:
            if hold.limit is not None and holdings.slices[hold.account.key].limit > hold.limit:
                self.fail(f"{hold.account.key}: {call_id} was admitted below {hold.limit} out of a lease below a higher limit")

    def refused(self, client: Client, refusal: Refusal) -> None:
        """Nothing to say: whether it was needed is looked at in the end."""

    def contradicted(self, client: Client, what: str, error: Exception) -> None:
        """A process that did nothing wrong is told that it did."""
        self.fail(f"{client.name} {what}: {type(error).__name__}: {error}")

    def let_go(self) -> None:
        """The file is about to be replaced."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    # -- what it looks at --------------------------------------------------------------------------------------------

    @property
    def reader(self) -> SqliteLeases:
        """The ledger, as the judge reads it."""
        if self._reader is None:
            self._reader = SqliteLeases(str(self._world.database.path))
        return self._reader

    def look(self, *, is_end: bool = False) -> None:
        """After every step: nothing above the limit, nothing charged that is not counted, nothing negative."""
        if self._world.kind.has_leases:
            self._look_at_owners()
        for row in self.reader.accounts():
            key, balance = row.account.key, row.balance
            taken, limit = balance.posted + balance.pending + balance.leased, self.limits.get(key)
            if min(balance.posted, balance.pending, balance.leased, balance.assumed) < 0:
                self.fail(f"{key}: negative: {balance}")
            allowed = None if limit is None else limit + self.overrun.get(key, 0)
            if allowed is not None and taken > allowed and taken > allowed + self._charged_twice(key):
                self.fail(f"{key}: overspent: {balance} above {limit} + overruns {self.overrun.get(key, 0)}")
            # what is only observed is not leased: it is in a journal until it is flushed, and no power cut is promised to leave it
            is_told = is_end and not self._cut_count and len(self._world.machines) == 1
            counts = limit is not None or is_told
            # an overrun is known to the process that posts it; the book hears of it with the next flush, or never
            unheard = self.unposted if is_end and len(self._world.machines) == 1 else self.overrun
            if counts and self.truth.get(key, 0) > taken + unheard.get(key, 0):
                self.fail(f"{key}: under-counted: providers charged {self.truth[key]}, the ledger has {balance}")

    def _charged_twice(self, key: str) -> int:
        """What was charged for leases of owners that another machine gave up, and that came back and told what they had done.

        The book then counts more than was spent: both the rest of the lease and the calls that were paid out of it.
        """
        if len(self._world.machines) == 1:
            return 0
        lines = [entry for entry in self.reader.entries() if entry.call_id.startswith("lease:")]
        return sum(move.posted for entry in lines for move in entry.moves if move.account_key == key)

    def look_closely(self) -> None:
        """Now and then: the book agrees with itself."""
        found = self.reader.verify()
        if found:
            self.fail(f"the book contradicts itself: {found}")

    def look_at_the_end(self) -> None:
        """Everybody is dead and recovered: nothing is held, nothing leased, what was acknowledged is there to the last."""
        self.look(is_end=True)
        self.look_closely()
        self.look_at_losses()
        for row in self.reader.accounts():
            key, balance = row.account.key, row.balance
            if (balance.pending, balance.leased) != (0, 0):
                self.fail(f"{key}: left over: {balance}")
        if len(self._world.machines) > 1:
            return  # a machine that is not heard of for long is given up by the other one, with what only its journals know
        for _, sent in self.certain.values():
            self.look_for(sent)

    def look_for(self, sent: Sent) -> None:
        """A call is in the book as it was acknowledged."""
        kept, call_id = self.reader.call(sent.call.id), sent.call.id
        state = CallState.VOIDED if sent.actual is None else CallState.POSTED
        amounts = {} if sent.actual is None else {hold.account.key: sent.actual for hold in sent.holds}
        if kept is None or kept.settlement is None or kept.state is not state or dict(kept.settlement.amounts) != amounts:
            self.fail(f"{call_id} was acknowledged as {state.value} at {sent.actual}, the ledger has {kept}")

    def _look_at_owners(self) -> None:
        """Nobody is given up while it lives and has been heard of: by its own machine never, by another only past its deadline."""
        world = self._world
        listed = {owner.id: owner for owner in self.reader.owners()}
        alive = {client.owner: client for client in world.clients if client.owner}
        latest = max(client.host.now() for client in world.clients) if world.clients else None
        for owner_id, owner in self._owners.items():
            if owner_id in listed or owner_id not in alive or latest is None:
                continue
            if len(world.machines) == 1 or owner.deadline > latest:
                self.fail(f"{alive[owner_id].name} lives and was given up, its deadline is {owner.deadline}")
        self._owners = listed

    def look_at_what_is_left_of_leases(self) -> None:
        """Nobody has used anything for a while and everybody has had a moment for itself: nothing is leased any more."""
        for row in self.reader.accounts():
            if row.balance.leased:
                self.fail(f"{row.account.key}: still leased although nobody uses it: {row.balance}")

    def look_at_losses(self) -> None:
        """On one machine that never lost its power no lease is ever charged for being lost: `kill -9` costs nothing."""
        if len(self._world.machines) == 1 and not self._cut_count:
            lost = [entry for entry in self.reader.entries() if entry.call_id.startswith("lease:")]
            if lost:
                self.fail(f"leases are charged as lost, and nothing was: {lost}")

    def fail(self, what: str) -> None:
        """With how to see it again."""
        world = self._world
        steps = "\n".join(world.log)
        raise BrokenPromiseError(
            f"seed {world.seed}, step {world.step_count}: {what}\nreplay: make simulate START={world.seed} SEEDS=1\n{steps}"
        )
