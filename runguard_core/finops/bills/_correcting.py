"""Corrections of the ledger's calls: the same tokens and dollars as the bill, spread over the calls that they are of."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from runguard_core.calls import CallKind, Certainty
from runguard_core.finops.bills._books import payer_of
from runguard_core.finops.bills._findings import CORRECTABLE, Difference, DifferenceKind
from runguard_core.finops.bills._grouping import family
from runguard_core.finops.bills._keys import KeyRing
from runguard_core.finops.bills._lines import TokenClass, Tokens, tokens_of
from runguard_core.finops.bills._reconciling import Reconciliation
from runguard_core.ledger import CallRecord, Settlement, Unit, model_of
from runguard_core.money import split
from runguard_core.usage import NO_USAGE, Usage


@dataclass(slots=True)
class _Draft:
    """A call on its way to what the bill says."""

    call: CallRecord
    nanos: int
    tokens: Tokens


def corrections(
    found: Reconciliation, calls: Sequence[CallRecord], ring: KeyRing, *, has_hour: bool, units: Mapping[str, Unit]
) -> list[tuple[str, Settlement]]:
    """What to post by `Store.adjust`: (call id, settlement), in the order of the calls; applied, the differences are gone.

    Only what calls of the ledger can be corrected by (CORRECTABLE) is; traffic without calls is left.

    Args:
        found: see `reconcile`. calls: those of its days and its provider. ring: as there.
        has_hour: whether the bill tells cache writes for an hour apart. units: of the accounts that calls were posted to, by key.
    """
    drafts = [_draft(call, has_hour=has_hour) for call in calls if call.kind is CallKind.MODEL and call.settlement is not None]
    for one in found.differences:
        if one.kind in CORRECTABLE:
            by_payer = found.tokens_by_payer if one.tokens else found.money_by_payer
            _apply(one, [draft for draft in drafts if _is_of(draft.call, one, ring if by_payer else None)])
    return [(draft.call.id, its) for draft in drafts if (its := _settled(draft, units, has_hour=has_hour)) is not None]


def _draft(call: CallRecord, *, has_hour: bool) -> _Draft:
    usage = call.settlement.usage if call.settlement is not None else None
    return _Draft(call, call.cost_nanos, tokens_of(usage or NO_USAGE, has_hour=has_hour))


def _is_of(call: CallRecord, one: Difference, ring: KeyRing | None) -> bool:
    if call.started_at.date() != one.day:
        return False
    is_model = one.model is None or family(model_of(call) or call.name) == one.model
    return is_model and (ring is None or payer_of(call, ring) == one.payer)


def _apply(one: Difference, drafts: Sequence[_Draft]) -> None:
    """Spread it: missing usage over the calls that lack it, the rest by what each call has."""
    if one.kind is DifferenceKind.MISSING_USAGE:
        unsure = [draft for draft in drafts if _is_unsure(draft.call)]
        drafts = unsure or drafts
    if not drafts:
        return
    for kind, count in one.tokens:
        shares = _spread(count, drafts, _weigher(kind))
        for draft, share in zip(drafts, shares, strict=True):
            draft.tokens[kind] += share
    for draft, share in zip(drafts, _spread(one.nanos, drafts, lambda draft: draft.nanos), strict=True):
        draft.nanos += share


def _weigher(kind: TokenClass) -> Callable[[_Draft], int]:
    return lambda draft: draft.tokens[kind]


def _is_unsure(call: CallRecord) -> bool:
    return call.settlement is not None and call.settlement.certainty in {Certainty.ESTIMATED, Certainty.ASSUMED}


def _spread(amount: int, drafts: Sequence[_Draft], weight: Callable[[_Draft], int]) -> list[int]:
    """Whole parts of an amount, proportional to weights; equal ones without any."""
    weights = [weight(draft) for draft in drafts]
    return split(amount, weights if any(weights) else [1] * len(drafts))


def _settled(draft: _Draft, units: Mapping[str, Unit], *, has_hour: bool) -> Settlement | None:
    """The settlement of a call that has changed; None for one that has not."""
    before = draft.call.settlement
    if before is None:
        return None
    old = tokens_of(before.usage or NO_USAGE, has_hour=has_hour)
    if draft.nanos == draft.call.cost_nanos and all(draft.tokens[kind] == old[kind] for kind in TokenClass):
        return None
    usage = _usage(before.usage or NO_USAGE, draft.tokens, has_hour=has_hour)
    nanos = max(0, draft.nanos)
    amounts = {
        key: nanos if units.get(key) is Unit.USD else usage.total_tokens if units.get(key) is Unit.TOKENS else amount
        for key, amount in before.amounts.items()
    }
    certainty = Certainty.ESTIMATED if before.certainty is Certainty.UNPRICED else before.certainty
    return replace(before, cost_nanos=nanos, usage=usage, amounts=amounts, certainty=certainty)


def _usage(before: Usage, tokens: Tokens, *, has_hour: bool) -> Usage:
    """Inclusive counts again; what no class tells apart (reasoning, audio, images) stays as it was reported."""
    read, hour = max(0, tokens[TokenClass.CACHE_READ]), max(0, tokens[TokenClass.CACHE_WRITE_1H])
    written = max(0, tokens[TokenClass.CACHE_WRITE]) + hour
    values = {name: getattr(before, name) for name in _KEPT}
    return Usage(
        **values, input_tokens=max(0, tokens[TokenClass.INPUT]) + read + written, output_tokens=max(0, tokens[TokenClass.OUTPUT]),
        cache_read_input_tokens=read, cache_creation_input_tokens=written,
        cache_creation_1h_input_tokens=hour if has_hour else min(before.cache_creation_1h_input_tokens, written),
    )  # fmt: skip


_KEPT = (
    "reasoning_output_tokens", "input_audio_tokens", "cache_audio_read_tokens", "output_audio_tokens", "input_image_tokens",
    "output_image_tokens", "web_search_count",
)  # fmt: skip
