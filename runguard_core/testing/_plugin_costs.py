"""What a test used, what it may use, and what to say when it used more."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runguard_core.calls import CallKind, Certainty
from runguard_core.errors import InvalidAmountError, PolicyError
from runguard_core.ledger import CallRecord
from runguard_core.money import format_usd, usd_text, usd_to_nanos

_KNOWN = ("max_usd", "max_turns", "max_tokens", "baseline", "tolerance", "policy")
_DEAREST = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a test may use; None is without a limit.

    Attributes:
        max_nanos: nano-USD; max_turns: model turns; max_tokens: of prompts and answers together.
        baseline: compare its tokens with the committed baseline; tolerance: how far above it they may be (a ratio).
        policy: the file whose detectors, prices and budgets hold in the test.
    """

    max_nanos: int | None = None
    max_turns: int | None = None
    max_tokens: int | None = None
    baseline: bool = False
    tolerance: float = 0.1
    policy: Path | None = None

    @classmethod
    def of(cls, given: Mapping[str, Any]) -> Limits:
        """From the marker's keywords.

        Raises:
            PolicyError: an unknown one, or a value that cannot be one.
        """
        unknown = sorted(given.keys() - set(_KNOWN))
        if unknown:
            raise PolicyError(key=f"runguard({unknown[0]}=...)", expected=f"unknown; known: {', '.join(_KNOWN)}")
        return cls(
            max_nanos=_nanos(given.get("max_usd")),
            max_turns=_count("max_turns", given.get("max_turns")),
            max_tokens=_count("max_tokens", given.get("max_tokens")),
            baseline=bool(given.get("baseline", False)),
            tolerance=_tolerance(given.get("tolerance", 0.1)),
            policy=None if given.get("policy") is None else Path(given["policy"]),
        )

    @property
    def is_any(self) -> bool:
        """Whether anything is limited."""
        return self.baseline or (self.max_nanos, self.max_turns, self.max_tokens) != (None, None, None)


def _nanos(value: object) -> int | None:
    try:
        return None if value is None else usd_to_nanos(value)
    except InvalidAmountError:
        raise PolicyError(key="runguard(max_usd=...)", expected=f'expected USD such as "0.05", got {value!r:.80}') from None


def _count(name: str, value: object) -> int | None:
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 0):
        return value
    raise PolicyError(key=f"runguard({name}=...)", expected=f"expected a whole number, got {value!r:.80}")


def _tolerance(value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < 100:  # a ratio, not a percentage
        return float(value)
    raise PolicyError(key="runguard(tolerance=...)", expected=f"expected a ratio such as 0.1, got {value!r:.80}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Used:
    """What calls came to.

    Attributes:
        nanos: nano-USD; input_tokens, output_tokens: as reported or estimated; turn_count, call_count, tool_count.
        unpriced: models without a price; estimated_count: calls whose tokens nobody reported.
        dearest: a line each for the turns with most tokens.
    """

    nanos: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    turn_count: int = 0
    call_count: int = 0
    tool_count: int = 0
    unpriced: tuple[str, ...] = ()
    estimated_count: int = 0
    dearest: tuple[str, ...] = ()

    @property
    def tokens(self) -> int:
        """Prompts and answers together."""
        return self.input_tokens + self.output_tokens


def used_by(calls: Iterable[CallRecord]) -> Used:
    """The sum of a test's calls."""
    found = [call for call in calls if call.is_paid]
    models = [call for call in found if call.kind is CallKind.MODEL]
    settled = [(call, call.settlement) for call in models if call.settlement is not None]
    usages = [settlement.usage for _, settlement in settled if settlement.usage is not None]
    owners = [call.attribution for call in models]
    unpriced = {call.name for call, settlement in settled if settlement.certainty is Certainty.UNPRICED}
    return Used(
        nanos=sum(call.cost_nanos for call in found),
        input_tokens=sum(usage.input_tokens for usage in usages),
        output_tokens=sum(usage.output_tokens for usage in usages),
        turn_count=len({(who.run, who.instance or who.agent, who.turn) for who in owners}),
        call_count=len(models),
        tool_count=len(found) - len(models),
        unpriced=tuple(sorted(unpriced)),
        estimated_count=sum(settlement.certainty is Certainty.ESTIMATED for _, settlement in settled),
        dearest=_dearest(models),
    )


def _dearest(models: Sequence[CallRecord]) -> tuple[str, ...]:
    sized = [
        (call.settlement.usage, call) for call in models if call.settlement is not None and call.settlement.usage is not None
    ]
    sized.sort(key=lambda pair: -pair[0].total_tokens)
    return tuple(
        f"turn {call.attribution.turn or '?'}: {usage.input_tokens:,} tokens in, {usage.output_tokens:,} out, "
        f"{format_usd(call.cost_nanos)} ({call.name})"
        for usage, call in sized[:_DEAREST]
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What a test used when its baseline was committed."""

    tokens: int
    turns: int
    usd: str

    @classmethod
    def of(cls, used: Used) -> Baseline:
        """From what it used now."""
        return cls(tokens=used.tokens, turns=used.turn_count, usd=usd_text(used.nanos))


@dataclass(slots=True)
class Judgement:
    """What is wrong with what a test used; `notes` is what it should know besides."""

    complaints: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def judge(used: Used, limits: Limits, baseline: Baseline | None) -> Judgement:
    """Hold what was used against what may be.

    Args:
        used: the test's calls. limits: of its marker. baseline: the committed one, None where there is none.
    """
    found = Judgement()
    if limits.max_nanos is not None:
        _hold(found, used.nanos, limits.max_nanos, "max_usd", format_usd)
        if used.unpriced:
            models = ", ".join(used.unpriced)
            found.complaints.append(f"max_usd cannot be checked: {models} has no price; give it one under [prices] of a policy")
    if limits.max_turns is not None:
        _hold(found, used.turn_count, limits.max_turns, "max_turns", lambda count: f"{count:,} turns")
    if limits.max_tokens is not None:
        _hold(found, used.tokens, limits.max_tokens, "max_tokens", lambda count: f"{count:,} tokens")
    if limits.baseline:
        _compare(found, used, limits.tolerance, baseline)
    if used.estimated_count:
        found.notes.append(f"tokens of {used.estimated_count} calls are estimates: their provider reported none")
    return found


def _hold(found: Judgement, amount: int, limit: int, name: str, show: Any) -> None:
    if amount > limit:
        over = f", {(amount - limit) / limit:.0%} over" if limit else ""
        found.complaints.append(f"it used {show(amount)}, at most {show(limit)} are allowed ({name}){over}")


def _compare(found: Judgement, used: Used, tolerance: float, baseline: Baseline | None) -> None:
    if baseline is None:
        found.complaints.append("it has no baseline yet: run pytest with --runguard-update and commit the file")
    elif used.tokens > baseline.tokens * (1 + tolerance):
        more = f"{(used.tokens - baseline.tokens) / baseline.tokens:.0%} more" if baseline.tokens else "more"
        found.complaints.append(
            f"it used {used.tokens:,} tokens in {used.turn_count} turns, {more} than its baseline of {baseline.tokens:,} in "
            f"{baseline.turns} turns ({tolerance:.0%} are tolerated); if that is meant, run pytest with --runguard-update"
        )
    elif used.tokens < baseline.tokens * (1 - tolerance):
        found.notes.append(
            f"used {used.tokens:,} tokens, its baseline is {baseline.tokens:,}: --runguard-update keeps the progress"
        )


def message_of(name: str, used: Used, complaints: Sequence[str], said: Sequence[str]) -> str:
    """The whole failure, for a person.

    Args:
        name: of the test. used: its calls. complaints: what is wrong. said: what the guard warned of.
    """
    lines = [f"RunGuard: {name} costs more than it may:", *(f"  - {complaint}" for complaint in complaints)]
    if used.dearest:
        lines += ["where it went:", *(f"  {line}" for line in used.dearest)]
    if said:
        lines += ["what the guard saw:", *(f"  {sentence}" for sentence in said)]
    sum_ = f"{used.call_count} model calls, {used.tool_count} tool calls, {used.tokens:,} tokens, {format_usd(used.nanos)}"
    return "\n".join([*lines, f"in all: {sum_}"])
