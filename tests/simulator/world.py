"""The world of one seed: machines, one ledger, processes that come, call, die; and a judge who knows the truth."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from runguard_core.errors import LedgerError, StoreError
from runguard_core.guard._time import SteadyClock
from runguard_core.ledger import Account, Applied, Hold, Refusal, Reserved, Unit
from tests.simulator.client import Client, Sent
from tests.simulator.database import Database
from tests.simulator.dying import Died, Life, running
from tests.simulator.judge import Judge
from tests.simulator.kinds import Kind
from tests.simulator.machine import Machine, SimulatedHost
from tests.simulator.network import Unreliable

#: So many of the last steps are shown.
LOG_LENGTH = 40
HOLD_TIME = timedelta(minutes=5)


class World:
    """Everything of one seed. The same seed makes the same steps, wherever and whenever it runs."""

    def __init__(self, seed: int, folder: Path, kind: Kind) -> None:
        self.seed, self.folder, self.kind = seed, folder, kind
        self.chance = chance = random.Random(seed)
        self.elapsed = 0.0
        self.is_down, self.loss = False, chance.choice([0.0, 0.0, 0.03, 0.15])
        self.machines = [Machine(name, chance, lambda: self.elapsed) for name in ("alpha", "beta")[: chance.choice([1, 1, 2])]]
        self.database = Database(folder)
        self.clients: list[Client] = []
        self.log: deque[str] = deque(maxlen=LOG_LENGTH)
        self.step_count = self.spawned = self.call_count = 0
        self.limit = chance.choice([300, 1000, 5000])
        self.most_clients = chance.choice([1, 2, 3, 4])
        self.is_waiting = self.is_attentive = False
        self.judge = Judge(self)

    def say(self, what: str) -> None:
        """Into the log of the last steps."""
        self.log.append(f"{self.step_count:4} {self.elapsed:8.2f}s {what}")

    # -- accounts --------------------------------------------------------------------------------------------------

    def holds(self, client: Client, amount: int) -> tuple[Hold, ...]:
        """One shared account, one of a few processes, an observed one, one of the present ten minutes of the host's clock."""
        window = int(client.clock.now().timestamp()) // 600
        # now and then a person has lowered the limit, and not every process knows
        some = [self.hold("all", amount, self.limit if self.chance.random() < 0.8 else self.limit * 2 // 3)]
        if self.chance.random() < 0.6:
            some.append(self.hold(f"group-{hash_of(client.name) % 2}", amount, self.limit // 2))
        if self.chance.random() < 0.3:
            some.append(self.hold(f"window-{window}", amount, self.limit // 3))
        if self.chance.random() < 0.2:
            some.append(self.hold("seen", amount, None))
        return tuple(some)

    def hold(self, key: str, amount: int, limit: int | None) -> Hold:
        """And its limit, for the judge."""
        highest = self.judge.limits.get(key)
        self.judge.limits[key] = limit if highest is None or limit is None else max(limit, highest)
        return Hold(Account(key, Unit.USD, key), amount, limit, limit)

    # -- processes -------------------------------------------------------------------------------------------------

    def spawn(self, machine: Machine | None = None, fuse: int | None = None) -> Client | None:
        """A new process; None when it died while it started."""
        machine = machine or self.chance.choice(self.machines)
        self.spawned += 1
        life = Life(f"p{self.spawned}")
        life.fuse = fuse
        host = SimulatedHost(machine, life, self.while_waiting)
        self.say(f"{life.name} starts on {machine.name}" + (f", dies after {fuse} I/Os" if fuse is not None else ""))
        running.append(life)
        try:
            backend = self.kind.backend(str(self.database.path))
            store = self.kind.store(Unreliable(self, backend), host, self.folder)
        except Died:
            running.pop()
            self.bury(life, machine)
            return None
        except StoreError as error:
            running.pop()
            self.say(f"{life.name} could not start: {error}")
            self.bury(life, machine)
            return None
        running.pop()
        life.fuse = None
        made = Client(life, machine, host, SteadyClock(host), store)
        self.clients.append(made)
        return made

    def bury(self, life: Life, machine: Machine) -> None:
        """The system takes back what a dead process had."""
        life.is_dead = True
        self.database.left_by(life)
        machine.left_by(life)
        for client in [client for client in self.clients if client.life is life]:
            self.clients.remove(client)
            self.judge.died(client)

    @contextmanager
    def running(self, client: Client) -> Iterator[None]:
        """The code inside is the process's; it may be its last."""
        running.append(client.life)
        try:
            yield
        except Died:
            self.say(f"{client.name} is killed: {' < '.join(reversed(client.life.trace[-3:]))}")
        finally:
            running.pop()
        if client.life.is_dead:
            self.bury(client.life, client.machine)

    def kill(self, client: Client) -> None:
        """Between two steps."""
        self.say(f"{client.name} is killed")
        self.bury(client.life, client.machine)

    def power_cut(self, machines: list[Machine]) -> None:
        """All of the machines' processes die at once; if the ledger's own machine is one, its last commits may be undone."""
        for client in [client for client in self.clients if client.machine in machines]:
            self.kill(client)
        for machine in machines:
            self.judge.cut(machine)
            machine.power_cut()
        undone = 0
        if not self.clients:
            self.judge.let_go()
            undone = self.database.power_cut(self.chance)
        self.say(f"power fails at {', '.join(machine.name for machine in machines)}; {undone} commits are undone")

    def while_waiting(self, seconds: float) -> None:
        """Time passes for a process that waits; others may go on meanwhile."""
        self.elapsed += seconds
        if self.is_waiting or not running:
            return
        if self.is_attentive:
            for client in [client for client in self.clients if client.life not in running]:
                self.try_to(client, "tend", lambda client=client: self.kind.tend(client.store, client.host))  # type: ignore[misc]
            return
        self.is_waiting = True
        try:
            others = [client for client in self.clients if client.life not in running]
            if others and self.chance.random() < 0.5:
                self.tend(self.chance.choice(others))
        finally:
            self.is_waiting = False

    # -- what processes do -----------------------------------------------------------------------------------------

    def try_to(self, client: Client, what: str, act: Callable[[], Any]) -> tuple[bool, Any]:
        """Whether it was heard that it is done, and the answer."""
        answer: Any = None
        is_done = False
        with self.running(client):
            try:
                answer = act()
                is_done = True
            except StoreError as error:
                self.say(f"{client.name} {what}: {error.reason}")
            except (LedgerError, LookupError) as error:
                self.judge.contradicted(client, what, error)
        return is_done, answer

    def reserve(self, client: Client, amount: int) -> None:
        """A call is asked for; admitted, it is sent."""
        holds = self.holds(client, amount)
        call = client.new_call(holds)
        self.say(f"{client.name} asks for {amount} in {[hold.account.key for hold in holds]} as {call.id}")
        self._ask(client, call, holds)

    def _ask(self, client: Client, call: Any, holds: tuple[Hold, ...]) -> None:
        expires = call.started_at + HOLD_TIME
        is_done, answer = self.try_to(
            client, f"reserve {call.id}", lambda: client.store.reserve(call, holds, expires_at=expires, owner=client.name)
        )
        if client.life.is_dead:
            return
        if not is_done:
            client.unsure.append((call, holds))
        elif isinstance(answer, Reserved):
            self.sent(client, call, holds)
            if answer.applied is Applied.CREATED:
                self.judge.admitted(client, call.id, holds)
        else:
            assert isinstance(answer, Refusal)
            self.judge.refused(client, answer)

    def sent(self, client: Client, call: Any, holds: tuple[Hold, ...]) -> None:
        """The request is at the provider, which charges something, or nothing."""
        self.call_count += 1
        amount, chance = holds[0].amount, self.chance.random()
        actual = (
            None
            if chance < 0.1
            else self.chance.randrange(amount + 1)
            if chance < 0.95
            else amount + self.chance.randrange(1, 20)
        )
        made = client.flying[call.id] = Sent(call, holds, actual)
        self.judge.sent(made)

    def ask_for(self, client: Client, amount: int) -> bool:
        """Whether a call of so much passes; it costs all of that."""
        holds = (self.hold("all", amount, self.limit),)
        call = client.new_call(holds)
        expires = call.started_at + HOLD_TIME
        _, answer = self.try_to(client, "ask", lambda: client.store.reserve(call, holds, expires_at=expires, owner=client.name))
        if isinstance(answer, Reserved):
            client.flying[call.id] = Sent(call, holds, amount)
            self.judge.sent(client.flying[call.id])
            self.settle(client)
        return isinstance(answer, Reserved)

    def try_to_recover(self) -> None:
        """Somebody on each machine looks after the dead."""
        for machine in self.machines:
            here = [client for client in self.clients if client.machine is machine]
            if here:
                self.try_to(here[0], "expire", lambda client=here[0]: client.store.expire(client.clock.now()))

    def ask_again(self, client: Client) -> None:
        """A reserve whose answer was an error is asked again under the same id, or given up."""
        call, holds = client.unsure.pop(self.chance.randrange(len(client.unsure)))
        if call.id not in client.given_up and self.chance.random() < 0.5:
            self.say(f"{client.name} asks again for {call.id}")
            self._ask(client, call, holds)
            return
        self.say(f"{client.name} voids {call.id}, which was never sent")
        client.given_up.add(call.id)
        nothing = Sent(call, holds, None).settlement(client.clock.now())
        if not self.try_to(client, f"void {call.id}", lambda: client.store.void(call.id, nothing))[0] and not client.life.is_dead:
            client.unsure.append((call, holds))

    def settle(self, client: Client) -> None:
        """A call in flight has ended."""
        call_id = self.chance.choice(sorted(client.flying))
        sent = client.flying[call_id]
        closing = sent.settlement(client.clock.now())
        self.say(f"{client.name} settles {call_id} at {sent.actual}")
        verb = client.store.void if sent.actual is None else client.store.post
        is_done, _ = self.try_to(client, f"settle {call_id}", lambda: verb(call_id, closing))
        if is_done:
            client.heard[call_id] = client.flying.pop(call_id)
            self.judge.heard(client, client.heard[call_id])

    def settle_again(self, client: Client) -> None:
        """The program says twice how a call ended."""
        call_id = self.chance.choice(sorted(client.heard))
        sent = client.heard[call_id]
        verb = client.store.void if sent.actual is None else client.store.post
        self.say(f"{client.name} settles {call_id} once more")
        self.try_to(client, f"settle {call_id} again", lambda: verb(call_id, sent.settlement(client.clock.now())))

    def tend(self, client: Client) -> None:
        """What a process does by itself now and then: flush, look after others' remains, renew its holds."""
        chance = self.chance.random()
        if chance < 0.6:
            self.say(f"{client.name} flushes")
            self.try_to(client, "flush", lambda: self.kind.tend(client.store, client.host))
        elif chance < 0.8:
            until = client.clock.now() + HOLD_TIME
            self.say(f"{client.name} renews {len(client.flying)} holds")
            self.try_to(client, "extend", lambda: client.store.extend(sorted(client.flying), until))
        else:
            self.say(f"{client.name} expires what is overdue")
            self.try_to(client, "expire", lambda: client.store.expire(client.clock.now()))

    def leave(self, client: Client) -> None:
        """A process ends in order; its calls in flight are nobody's then."""
        self.say(f"{client.name} closes")
        self.try_to(client, "close", client.store.close)
        if not client.life.is_dead:
            self.bury(client.life, client.machine)


def hash_of(name: str) -> int:
    """The same in every run, unlike `hash`."""
    return sum(name.encode())
