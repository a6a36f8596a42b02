"""Opportunities of a feature, each a pure function of its sample; the dearest one is what the review shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import timedelta

from runguard_core.calls import OutcomeKind
from runguard_core.finops.reviews._opportunity import (
    Opportunity,
    OpportunityKind,
    Sample,
    followed,
    model_of,
    saved,
    shortened,
    usage_of,
)
from runguard_core.ledger import CallRecord, Total
from runguard_core.money import brief_usd

#: An opportunity of less than this share of the feature's week is not worth a word.
LEAST_SHARE = 0.01
#: How long providers keep a prompt's prefix by default.
CACHE_KEPT = timedelta(minutes=5)
#: Answers of at most so many tokens are short.
SHORT_TOKENS = 150
#: A prompt is long from so many times the feature's mean prompt on.
LONG_TIMES = 2
#: A mistake of this share of the week is spoken of first.
MISTAKE_SHARE = 0.10
_MISTAKES = frozenset({OpportunityKind.FAILED_ATTEMPTS, OpportunityKind.UNUSUAL_MODEL})
_WASTED = frozenset({OutcomeKind.FAILED, OutcomeKind.CANCELLED, OutcomeKind.UNKNOWN})


def failed_attempts(it: Sample) -> Opportunity | None:
    """Attempts that brought nothing and were billed."""
    wasted = [call for call in it.model_calls if call.settlement is not None and call.settlement.outcome in _WASTED]
    errors = Counter((call.settlement.error or "no answer").split(":")[0] for call in wasted if call.settlement is not None)
    if not wasted:
        return None
    nanos = sum(call.cost_nanos for call in wasted)
    most = min(errors, key=lambda error: (-errors[error], error))
    said = f"{_calls(wasted)} failed and were billed all the same, {brief_usd(nanos)} (mostly {most})"
    return Opportunity(OpportunityKind.FAILED_ATTEMPTS, nanos, said, f"retries of the client and its timeout: {_look(wasted)}")


def unusual_model(it: Sample) -> Opportunity | None:
    """A dearer model than the one that the feature used most in the weeks before; all of its week, not only the sample."""
    usual = _most_used(it.usual_models)
    found: list[tuple[int, str, int]] = []
    for key, total in it.models.items():
        if usual is None or key == usual or key[0] != usual[0] or not total.cost_nanos:
            continue
        calls = [call for call in it.model_calls if model_of(call) == key[1]]
        kept = sum(call.cost_nanos for call in calls)
        cheaper = sum(saved(call, it.prices, usage_of(call), usual[1]) for call in calls)
        if kept and cheaper > 0:
            found.append((total.cost_nanos * cheaper // kept, key[1], total.call_count))
    if not found or usual is None:
        return None
    nanos, model, count = max(found)
    said = f"{count:,} calls went to {model}; on {usual[1]}, the usual model here, they would have cost {brief_usd(nanos)} less"
    return Opportunity(OpportunityKind.UNUSUAL_MODEL, nanos, said, "was the change meant? `runguard report --by model`")


def cache_misses(it: Sample) -> Opportunity | None:
    """Prompts that repeat the one before within the cache's time, and were not read from the cache.

    The saving counts what writing the cache costs; a prompt that is shorter than the one before counts as a new one.
    """
    nanos, missed, again = 0, 0, 0
    for session in it.sessions:
        for before, call in followed(session):
            usage = usage_of(call)
            repeated = max(_repeated(before, call), usage.cache_read_input_tokens)
            written = usage.input_tokens - repeated
            best = replace(
                usage, cache_read_input_tokens=repeated, cache_creation_input_tokens=written, cache_creation_1h_input_tokens=0
            )
            nanos += saved(call, it.prices, best)
            missed += repeated - usage.cache_read_input_tokens
            again += repeated
    if nanos <= 0 or not missed:
        return None
    said = (
        f"{missed:,} of {again:,} repeated prompt tokens were paid in full; read from the provider's cache they save "
        f"{brief_usd(nanos)}, writing it included"
    )
    check = "the same beginning in every call, and marked for the cache? `runguard report --by model`"
    return Opportunity(OpportunityKind.CACHE_MISSES, nanos, said, check)


def resent_results(it: Sample) -> Opportunity | None:
    """Results of tools that later prompts carry again, by the sizes of the prompts' parts."""
    by_tool, calls = Counter[str](), list[CallRecord]()
    for call in it.model_calls:
        again = {
            p.origin[5:]: p.chars - p.new_chars for p in call.parts if p.origin.startswith("tool:") and p.chars > p.new_chars
        }
        chars = sum(part.chars for part in call.parts)
        if not again or not any(part.new_chars for part in call.parts):  # the adapter could not tell what was new
            continue
        usage = usage_of(call)
        without = shortened(usage, usage.input_tokens * sum(again.values()) // chars)
        share = max(saved(call, it.prices, without), 0)
        most = max(again, key=lambda tool: (again[tool], tool))
        by_tool[most] += share
        calls.append(call)
    if not by_tool:
        return None
    tool, nanos = min(by_tool, key=lambda name: (-by_tool[name], name)), by_tool.total()
    said = (
        f"results of tools sent again in later prompts cost {brief_usd(nanos)} over {_calls(calls)}, most of it those of {tool}: "
        "keep a summary once they have been read"
    )
    return Opportunity(OpportunityKind.RESENT_RESULTS, nanos, said, _look(calls))


def long_histories(it: Sample) -> Opportunity | None:
    """Prompts far above the feature's mean: what they cost above twice the mean."""
    if not it.total.call_count or not it.total.usage.input_tokens:
        return None
    most = LONG_TIMES * it.total.usage.input_tokens // it.total.call_count
    most = max(round(most, -3), 1000)
    long = [call for call in it.model_calls if usage_of(call).input_tokens > most]
    nanos = sum(max(saved(call, it.prices, shortened(usage_of(call), usage_of(call).input_tokens - most)), 0) for call in long)
    if not long:
        return None
    said = (
        f"{_calls(long)} had prompts above {most:,} tokens ({LONG_TIMES} times the mean): holding histories to that saves "
        f"{brief_usd(nanos)}"
    )
    return Opportunity(OpportunityKind.LONG_HISTORIES, nanos, said, _look(long))


def short_answers(it: Sample) -> Opportunity | None:
    """Short answers of the usual model, where a cheaper one of the same provider is in use in this ledger."""
    usual = _most_used(it.usual_models) or _most_used(it.models)
    found: list[tuple[int, str, str, int]] = []
    short = [call for call in it.model_calls if _is_short(call) and (call.provider or "", model_of(call)) == usual]
    for provider, model in it.offered:
        calls = [call for call in short if call.provider == provider and model_of(call) != model]
        gains = [(saved(call, it.prices, usage_of(call), model), call) for call in calls]
        gains = [(nanos, call) for nanos, call in gains if nanos > 0]
        if gains:
            dear = Counter(model_of(call) for _, call in gains)
            own = min(dear, key=lambda name: (-dear[name], name))
            found.append((sum(nanos for nanos, _ in gains), model, own, len(gains)))
    if not found:
        return None
    nanos, model, own, count = max(found)
    said = (
        f"{count:,} answers of at most {SHORT_TOKENS} tokens came from {own}; {model}, which this ledger knows too, would have "
        f"given them for {brief_usd(nanos)} less"
    )
    return Opportunity(OpportunityKind.SHORT_ANSWERS, nanos, said, f"try {model} on a sample of them and compare the answers")


Seeker = Callable[[Sample], Opportunity | None]
SEEKERS: tuple[Seeker, ...] = (failed_attempts, unusual_model, cache_misses, resent_results, long_histories, short_answers)


def opportunities(it: Sample, seekers: Sequence[Seeker] = SEEKERS) -> tuple[Opportunity, ...]:
    """Those that are worth a word, the dearest first.

    What went wrong this week (failed attempts, an unusual model) and is a tenth of it comes before what is always there; what
    first needs a judgement of the answers' quality comes last.
    """
    found = [one for seek in seekers if (one := seek(it)) is not None]
    worth = [one for one in found if one.nanos > 0 and one.nanos >= LEAST_SHARE * it.total.cost_nanos]
    return tuple(sorted(worth, key=lambda one: (_place(one, it), -one.nanos, one.kind.value)))


def _place(one: Opportunity, it: Sample) -> int:
    if one.kind in _MISTAKES and one.nanos >= MISTAKE_SHARE * it.total.cost_nanos:
        return 0
    return 2 if one.kind is OpportunityKind.SHORT_ANSWERS else 1


def _repeated(before: CallRecord | None, call: CallRecord) -> int:
    """Tokens of a prompt that the cache could still have had: the whole prompt before, if this one goes on from it."""
    if before is None or before.settlement is None or call.started_at - before.started_at > CACHE_KEPT:
        return 0
    earlier, now = usage_of(before).input_tokens, usage_of(call).input_tokens
    return earlier if earlier <= now else 0


def _most_used(models: Mapping[tuple[str, str], Total]) -> tuple[str, str] | None:
    return max(models, key=lambda key: (models[key].call_count, key), default=None)


def _is_short(call: CallRecord) -> bool:
    """Whether it is a short answer; what asks for tools is none."""
    asks = call.settlement is not None and bool(call.settlement.tool_names)
    return not asks and 0 < usage_of(call).output_tokens <= SHORT_TOKENS


def _calls(calls: Sequence[CallRecord]) -> str:
    return f"{len(calls):,} call{'s' if len(calls) > 1 else ''}"


def _look(calls: Sequence[CallRecord]) -> str:
    """The command that shows the session with most of these calls' cost."""
    costs = Counter[str]()
    for call in calls:
        costs[call.attribution.session or call.attribution.run or call.id] += call.cost_nanos
    return f"`runguard explain {min(costs, key=lambda name: (-costs[name], name))}`"
