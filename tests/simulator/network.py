"""What is between a process and the ledger."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from runguard_core.errors import StoreUnavailableError

if TYPE_CHECKING:
    from tests.simulator.world import World


class Unreliable:
    """A backend behind a network: it may be away, and an answer may be lost after the verb was applied."""

    def __init__(self, world: World, backend: Any) -> None:
        self._world, self._backend = world, backend

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._backend, name)
        if not callable(found) or name == "close":
            return found

        def verb(*values: Any, **more: Any) -> Any:
            if self._world.is_down:
                raise StoreUnavailableError("ledger", "it is away", "wait")
            # leases are what a power cut is tried on; a plain reserve may be lost in one, and says so
            self._world.database.is_careful = name == "reserve"
            is_lost = self._world.chance.random() < self._world.loss
            try:
                answer = found(*values, **more)
            finally:
                self._world.database.is_careful = False
            if is_lost:
                self._world.say(f"    the answer of {name} is lost")
                raise StoreUnavailableError("ledger", "the answer was lost", "ask again")
            return answer

        return verb
