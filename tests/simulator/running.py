"""One seed from its first step to the last: what happens next is drawn by lot, and judged after every step."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from tests.simulator.client import Client
from tests.simulator.database import opened_by
from tests.simulator.judge import BrokenPromiseError
from tests.simulator.kinds import LEASED, Kind
from tests.simulator.world import World

STEPS = 120
#: Longer than any clock was wrong.
_LONG_SECONDS = 500 * 86400.0


@dataclass
class Seen:
    """What a seed did."""

    seed: int
    steps: int = 0
    deaths: int = 0
    cuts: int = 0
    calls: int = 0


def run_seed(seed: int, steps: int = STEPS, kind: Kind = LEASED) -> Seen:
    """Play it.

    Raises:
        BrokenPromiseError: a promise is broken; how to replay it and the last steps are in the message.
    """
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(prefix="simulated-", dir=memory if memory.is_dir() else None))
    world = World(seed, folder, kind)
    seen = Seen(seed)
    try:
        with opened_by(world.database), quiet():
            _play(world, steps, seen)
            _end(world)
    finally:
        world.judge.let_go()
        for client in tuple(world.clients):
            world.kill(client)
        world.database.close()
        shutil.rmtree(folder, ignore_errors=True)
    return seen


def first_broken(seeds: Iterable[int]) -> BrokenPromiseError | None:
    """The first promise that is broken in these worlds."""
    for seed in seeds:
        try:
            run_seed(seed)
        except BrokenPromiseError as error:
            return error
    return None


@contextmanager
def quiet() -> Iterator[None]:
    """What the production code warns of is what is done to it."""
    log = logging.getLogger("runguard")
    before, log.disabled = log.disabled, True
    try:
        yield
    finally:
        log.disabled = before


def _play(world: World, steps: int, seen: Seen) -> None:
    for _ in range(steps):
        world.step_count += 1
        before = world.spawned, len(world.clients)
        _pass_time(world)
        _step(world, seen)
        world.judge.look()
        if world.step_count % 40 == 0:
            world.judge.look_closely()
        seen.deaths += max(0, before[1] + world.spawned - before[0] - len(world.clients))
    seen.steps = world.step_count
    seen.calls = world.call_count


def _pass_time(world: World) -> None:
    chance = world.chance
    world.elapsed += chance.choice([0.0, 0.01, 0.05, 0.2, 1.0]) if chance.random() < 0.97 else chance.choice([10.0, 90.0, 700.0])
    for machine in world.machines:
        machine.sync()
        if chance.random() < 0.01:
            machine.ahead = timedelta(seconds=chance.choice([0, 0, -3600, 3600, 400 * 86400, -400 * 86400]))
            world.say(f"the clock of {machine.name} is wrong by {machine.ahead}")


def _step(world: World, seen: Seen) -> None:
    chance = world.chance
    lot = chance.random()
    if not world.clients or (lot < 0.04 and len(world.clients) < world.most_clients):
        world.spawn(fuse=chance.randrange(30) if chance.random() < 0.2 else None)
        return
    client = chance.choice(world.clients)
    if chance.random() < 0.06:
        client.life.fuse = chance.choice([0, 1, chance.randrange(25)])
    if lot < 0.46:
        world.reserve(client, chance.randrange(60))
    elif lot < 0.80 and client.flying:
        world.settle(client)
    elif lot < 0.83 and client.heard:
        world.settle_again(client)
    elif lot < 0.87 and client.unsure:
        world.ask_again(client)
    elif lot < 0.95:
        world.tend(client)
    elif lot < 0.97:
        world.kill(client)
    elif lot < 0.98:
        world.leave(client)
    elif lot < 0.985:
        world.is_down = not world.is_down
        world.say("the ledger is away" if world.is_down else "the ledger is back")
    elif lot < 0.995 and world.kind.has_leases:
        seen.cuts += 1
        world.power_cut(world.machines if chance.random() < 0.6 else [chance.choice(world.machines)])
    client.life.fuse = None


def _rest(world: World) -> None:
    """Everybody comes to an end with what it has, and has a moment for itself."""
    for machine in world.machines:
        if not any(client.machine is machine for client in world.clients):
            world.spawn(machine)
    for client in tuple(world.clients):
        for _ in range(len(client.flying)):
            if client.flying and not client.life.is_dead:
                world.settle(client)
    world.try_to_recover()
    _gather(world)
    for _ in range(3):
        world.elapsed += 5.0
        for client in tuple(world.clients):
            world.try_to(client, "tend", lambda client=client: world.kind.tend(client.store, client.host))
    world.judge.look()
    for client in world.clients:
        for sent in client.heard.values():
            world.judge.look_for(sent)
    world.judge.look_at_what_is_left_of_leases()


def _gather(world: World) -> None:
    """What others have leased and do not need is had for the asking: one asks for all of it."""
    if len(world.machines) > 1:
        return  # who is elsewhere cannot be asked
    for client in tuple(world.clients):
        world.try_to(client, "tend", lambda client=client: world.kind.tend(client.store, client.host))
    world.elapsed += 1.5
    world.is_attentive = True
    balance = world.judge.reader.balances(["all"])["all"]
    left = world.limit - balance.posted - balance.pending
    pending = any(client.flying for client in world.clients)
    if left > 0 and not pending and not world.ask_for(world.clients[0], left):
        world.judge.fail(f"{left} are left in the leases of processes that do not need them, and a call of {left} was refused")
    world.is_attentive = False


def _end(world: World) -> None:
    """Everybody rests, then dies; long after, one process on each machine cleans up, and one spends what is left to the last."""
    world.is_down, world.loss = False, 0.0
    if world.kind.has_leases:
        _rest(world)
    for client in tuple(world.clients):
        world.kill(client)
    for machine in world.machines:
        machine.ahead = timedelta()
    world.elapsed += _LONG_SECONDS
    last: Client | None = None
    for machine in world.machines:
        world.elapsed += _LONG_SECONDS
        last = world.spawn(machine)
        assert last is not None
        world.try_to(last, "tend", lambda client=last: world.kind.tend(client.store, client.host))
        world.try_to(last, "expire", lambda client=last: client.store.expire(client.clock.now()))
        world.judge.look()
        if machine is not world.machines[-1]:
            world.leave(last)
    assert last is not None
    _spend_the_rest(world, last)
    world.leave(last)
    world.judge.look_at_the_end()


def _spend_the_rest(world: World, last: Client) -> None:
    """The cap is usable to the last, and not beyond."""
    left = last.store.balances(["all"])["all"].available(world.limit)
    for amount in (max(left, 0) + 1, left):
        if amount >= 0 and world.ask_for(last, amount) is not (amount == left):
            world.judge.fail(f"{left} are left, and a call of {amount} was {'refused' if amount == left else 'admitted'}")
