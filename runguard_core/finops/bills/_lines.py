"""A bill as values: tokens by class and money, per UTC day, key and model."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import date
from enum import StrEnum

from runguard_core.usage import USAGE_FIELDS, Usage
from runguard_core.values import value


class TokenClass(StrEnum):
    """Tokens that are billed apart; they do not overlap. Audio and images are in the class that they would have as text."""

    INPUT = "input"
    CACHE_READ = "cache read"
    CACHE_WRITE = "cache write"
    CACHE_WRITE_1H = "cache write 1h"
    OUTPUT = "output"


Tokens = Counter[TokenClass]
INPUT_SIDE = (TokenClass.INPUT, TokenClass.CACHE_READ, TokenClass.CACHE_WRITE, TokenClass.CACHE_WRITE_1H)
#: Which counts of `Usage` a token of a class is counted in; its price is the sum of their coefficients.
_COUNTED_IN: Mapping[TokenClass, tuple[str, ...]] = {
    TokenClass.INPUT: ("input_tokens",),
    TokenClass.CACHE_READ: ("input_tokens", "cache_read_input_tokens"),
    TokenClass.CACHE_WRITE: ("input_tokens", "cache_creation_input_tokens"),
    TokenClass.CACHE_WRITE_1H: ("input_tokens", "cache_creation_input_tokens", "cache_creation_1h_input_tokens"),
    TokenClass.OUTPUT: ("output_tokens",),
}
PLACES = {kind: tuple([USAGE_FIELDS.index(name) for name in names]) for kind, names in _COUNTED_IN.items()}


def tokens_of(usage: Usage, *, has_hour: bool) -> Tokens:
    """Inclusive counts as classes; none below zero.

    Args:
        usage: as the ledger keeps it. has_hour: whether the bill tells writes for an hour apart.
    """
    written, hour = usage.cache_creation_input_tokens, usage.cache_creation_1h_input_tokens if has_hour else 0
    found = Tokens({
        TokenClass.CACHE_READ: usage.cache_read_input_tokens,
        TokenClass.CACHE_WRITE: written - hour,
        TokenClass.CACHE_WRITE_1H: hour,
        TokenClass.INPUT: max(0, usage.input_tokens - usage.cache_read_input_tokens - written),
        TokenClass.OUTPUT: usage.output_tokens,
    })  # fmt: skip
    return without_zeros(found)


def without_zeros(tokens: Mapping[TokenClass, int]) -> Tokens:
    """The same without classes of no tokens, in the order of the classes."""
    return Tokens({kind: tokens[kind] for kind in TokenClass if tokens.get(kind)})


def difference(one: Mapping[TokenClass, int], other: Mapping[TokenClass, int]) -> Tokens:
    """The first less the second, classes without any left out."""
    return without_zeros({kind: one.get(kind, 0) - other.get(kind, 0) for kind in TokenClass})


@value(kw_only=True)
class BillLine:
    """One line of a bill.

    Attributes:
        day: UTC. model: None where the bill does not say.
        ids: what it names as payer, the API key before the project or workspace. feature: where it carries ours as a tag.
        token_class, tokens: of a line of usage; None and 0 for money without tokens.
        nanos, slack_nanos: of a line of costs, see `Amount`.
        tier: service tier, None for the ordinary one. request_count: None where unknown.
        what: the provider's words for it.
    """

    day: date
    model: str | None = None
    ids: tuple[str, ...] = ()
    feature: str | None = None
    token_class: TokenClass | None = None
    tokens: int = 0
    nanos: int = 0
    slack_nanos: int = 0
    tier: str | None = None
    request_count: int | None = None
    what: str = ""


@value(kw_only=True)
class Bill:
    """What a provider says.

    Attributes:
        provider: "openai", "anthropic" or the provider's name on a FOCUS bill; None for several.
        usage, costs: lines of tokens and lines of money.
        usage_days, cost_days: the UTC days that each covers wholly, days without lines included.
        notes: what was left out, sentences for a reader.
    """

    provider: str | None
    usage: tuple[BillLine, ...] = ()
    costs: tuple[BillLine, ...] = ()
    usage_days: frozenset[date] = frozenset()
    cost_days: frozenset[date] = frozenset()
    notes: tuple[str, ...] = ()

    @property
    def has_hour(self) -> bool:
        """Whether it tells cache writes for an hour apart."""
        return any(line.token_class is TokenClass.CACHE_WRITE_1H for line in (*self.usage, *self.costs))


#: How providers name the ordinary service tier.
_ORDINARY = frozenset({"standard", "default", "auto", "", "null", "none"})


def tier_of(said: object) -> str | None:
    """A service tier other than the ordinary one."""
    text = str(said).strip().lower() if said is not None else ""
    return None if text in _ORDINARY else text


def usage_lines(line: BillLine, tokens: Mapping[TokenClass, int]) -> Iterable[BillLine]:
    """One line for each class; the number of requests stays with the first."""
    count = line.request_count
    for kind in TokenClass:
        if tokens.get(kind):
            yield BillLine(
                day=line.day, model=line.model, ids=line.ids, feature=line.feature, token_class=kind, tokens=tokens[kind],
                tier=line.tier, request_count=count, what=line.what,
            )  # fmt: skip
            count = 0 if count is not None else None
