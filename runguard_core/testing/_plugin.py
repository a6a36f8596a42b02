"""`CostWatch`: a test under a guard, or a recording under a policy, held against what it may cost."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

from runguard_core.budgets import Budget
from runguard_core.errors import PolicyError, RefusedError
from runguard_core.events import STOP, WARN
from runguard_core.guard import Guard, Rules, Unpriced, restored_afterwards, rules_of
from runguard_core.hooking import on_import
from runguard_core.ledger import CallFilter
from runguard_core.money import format_usd, usd_text
from runguard_core.replay import Played
from runguard_core.testing._plugin_baselines import read_baselines
from runguard_core.testing._plugin_costs import Baseline, Limits, Used, judge, message_of, used_by
from runguard_core.testing._plugin_replaying import play_within

#: Adapter -> the module whose import it waits for.
_FRAMEWORKS = {"langchain": "langchain_core", "litellm": "litellm", "llama_index": "llama_index.core"}
#: A test is stopped for good at twice its limit and this much: what it was set aside for calls is an expectation.
_SPARE_NANOS, _SPARE_TOKENS, _SPARE_TURNS = 100_000_000, 20_000, 2


#: Reads a policy file: the policy is a layer above this one.
Load = Callable[[Path], Rules]
#: The budget that ends a test which runs away.
RUNAWAY = "twice the test's limit"
NO_CALLS = (
    "RunGuard: {name} says what it may cost, but no model call of it was seen. Calls are seen where they are made through "
    "LangChain, LlamaIndex or LiteLLM, or through `runguard.guard` (fixture); a guard that the program installs takes its place."
)


@dataclass(frozen=True, slots=True)
class Verdict:
    """On a test: the failure's text, None when all is well; properties: its baseline and notes, as JSON values."""

    failure: str | None
    properties: dict[str, Any]


class CostWatch:
    """What the fixture `runguard` hands to a test.

    Attributes:
        guard: under which the test's calls are made: by the frameworks that are imported, by `guard.model_call`, or by an
            adapter of your choice.
        limits: of the test's marker.
    """

    def __init__(self, name: str, limits: Limits, load: Load) -> None:
        """A guard with a ledger in memory, and budgets that stop a test which runs away.

        Args:
            name: of the test. limits: of its marker. load: reads a policy file.
        """
        self.name, self.limits, self._load = name, limits, load
        self.replay_count = 0
        rules = _defaults() if limits.policy is None else load(limits.policy)
        self.guard = Guard(rules=with_ends(rules, limits), store="memory://")

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Calls made in the block are the test's."""
        with ExitStack() as stack:
            stack.enter_context(restored_afterwards(_FRAMEWORKS))
            _hooking.guard = self.guard
            stack.callback(setattr, _hooking, "guard", None)
            _hooking.hook_what_is_there()
            stack.enter_context(self.guard.session(self.name))
            yield

    @classmethod
    def of_marker(cls, name: str, marker: Any, root: Path, load: Load) -> CostWatch:
        """For a test.

        Args:
            name: the test's id. marker: `pytest.mark.runguard(...)`, None without one. root: what its policy is relative to.
            load: reads a policy file.

        Raises:
            PolicyError: an argument that is none, or a policy that cannot be read.
        """
        if marker is None:
            return cls(name, Limits(), load)
        if marker.args:
            raise PolicyError(key="runguard(...)", expected='arguments by name, such as max_usd="0.05"')
        limits = Limits.of(marker.kwargs)
        if limits.policy is not None:
            limits = replace(limits, policy=root / limits.policy)
        return cls(name, limits, load)

    def verdict(self, baselines: Path, *, updates: bool) -> Verdict:
        """What is wrong with what the test used.

        Args:
            baselines: the file. updates: what it used now becomes its baseline.
        """
        used, limits = self.used(), self.limits
        own = Baseline.of(used) if limits.baseline and used.call_count else None
        if not limits.is_any or (not used.call_count and self.replay_count):
            return Verdict(None, {"baseline": None, "notes": []})
        known = own if updates or not limits.baseline else read_baselines(baselines).get(self.name)
        judged = judge(used, limits, known)
        ended = [event.message for event in self.guard.store.events() if event.facts.get("budget") == RUNAWAY]
        judged.complaints += [f"it was ended: {sentence}" for sentence in ended[:1]]
        failure = message_of(self.name, used, judged.complaints, self.said()) if judged.complaints else None
        if not used.call_count and not ended:
            failure = NO_CALLS.format(name=self.name)
        return Verdict(failure, {"baseline": None if own is None else asdict(own), "notes": judged.notes})

    def ended_by(self, error: BaseException) -> str | None:
        """The failure's text where the test ran away and was ended; None for what else a test may raise."""
        if not isinstance(error, RefusedError) or error.budget != RUNAWAY:
            return None
        used = self.used()
        return message_of(self.name, used, [*judge(used, self.limits, None).complaints, f"it was ended: {error}"], self.said())

    def summary(self) -> str:
        """What it used and what the guard said, for a test that failed by itself."""
        used = self.used()
        said = "".join(f"\n  {sentence}" for sentence in self.said())
        return f"{used.call_count} model calls, {used.tokens:,} tokens, {format_usd(used.nanos)}{said}"

    def used(self) -> Used:
        """What the test has used so far."""
        return used_by(self.guard.store.calls(CallFilter()))

    def said(self, most: int = 5) -> list[str]:
        """What the guard warned of or stopped."""
        return [
            event.message
            for event in self.guard.store.events()
            if event.severity in {WARN, STOP} and event.facts.get("budget") != RUNAWAY
        ][:most]

    def replay(
        self,
        *files: str | Path,
        policy: str | Path | None = None,
        max_usd: object = None,
        max_turns: int | None = None,
        max_tokens: int | None = None,
        stopped_by: str | None = None,
    ) -> list[Played]:
        """Play recordings (incidents, for example) and assert what each would have cost up to where it is stopped.

        Args:
            files: recordings, see `runguard replay`. policy: a policy file, that of the marker when left out, else the defaults.
            max_usd, max_turns, max_tokens: what each run may cost before it is stopped.
            stopped_by: the rule that must stop each run.

        Raises:
            AssertionError: a run costs more, or is not stopped by that rule; it says which and where.
            RecordingError, PolicyError: a file cannot be read.
        """
        self.replay_count += 1
        limits = Limits.of({"max_usd": max_usd, "max_turns": max_turns, "max_tokens": max_tokens})
        file = Path(policy) if policy is not None else self.limits.policy
        return play_within(files, self._load(file) if file is not None else _defaults(), limits, stopped_by)

    def close(self) -> None:
        """Close the guard."""
        self.guard.close()


def _defaults() -> Rules:
    return rules_of("pytest", (), mode="enforce", session_usd=None, daily_usd=None)


def with_ends(rules: Rules, limits: Limits) -> Rules:
    """The policy of a test, with budgets far enough above its limits to end a runaway only."""
    wanted: tuple[tuple[int | None, Callable[[int], str]], ...] = (
        (limits.max_nanos, lambda most: f"{usd_text(2 * most + _SPARE_NANOS)} USD"),
        (limits.max_tokens, lambda most: f"{2 * most + _SPARE_TOKENS} tokens"),
        (limits.max_turns, lambda most: f"{2 * most + _SPARE_TURNS} turns"),
    )
    ends = tuple(Budget(write(most), name=RUNAWAY) for most, write in wanted if most is not None)
    return replace(rules, budgets=(*rules.budgets, *ends), unpriced=Unpriced.FLAG)


class _Hooking:
    """Hooks the guard of the test that runs into frameworks, those that the test itself imports included."""

    def __init__(self) -> None:
        self.guard: Guard | None = None
        self._asked: set[str] = set()
        self._arrived: set[str] = set()

    def hook_what_is_there(self) -> None:
        """Hook into what has been imported; what comes later is hooked when it comes."""
        for name in self._arrived:
            self._hook(name)
        for name in _FRAMEWORKS.keys() - self._asked:
            self._asked.add(name)
            on_import(_FRAMEWORKS[name], partial(self._arrive, name))

    def _arrive(self, name: str) -> None:
        self._arrived.add(name)
        self._hook(name)

    def _hook(self, name: str) -> None:
        """An adapter that cannot be used here is as good as none: a test that makes no call says so itself."""
        if self.guard is not None:
            with suppress(ImportError, PolicyError):
                self.guard.install(name)


_hooking = _Hooking()
