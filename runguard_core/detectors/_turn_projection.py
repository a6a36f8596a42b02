"""What a growing prompt will cost and what makes it grow. Asked only once there is something to say."""

from __future__ import annotations

from collections.abc import Iterable

from runguard_core.calls import PromptPart
from runguard_core.detectors._turn import PromptPrices, Turn
from runguard_core.detectors._turn_strand import Strand
from runguard_core.money import format_usd

#: A projection looks no further than so many turns.
FAR_TURNS = 50


def turns_until(tokens: int, limit_tokens: int | None, growth_tokens: int) -> int | None:
    """How many more turns fit below a limit at this growth; None without a limit or growth."""
    if limit_tokens is None or growth_tokens <= 0:
        return None
    return max(0, (limit_tokens - tokens) // growth_tokens)


def input_nanos(prices: PromptPrices, tokens: int, growth_tokens: int, turn_count: int) -> int:
    """What the prompts of the next turns cost at list price, cliffs included, this one first."""
    return sum(prices.plain(tokens + index * growth_tokens, 0) for index in range(turn_count))


def grown_part(before: Iterable[PromptPart], now: Iterable[PromptPart]) -> tuple[str, int, int] | None:
    """The origin whose share has grown most: its name, its characters then and now; None when nothing has grown."""
    old: dict[str, int] = {}
    new: dict[str, int] = {}
    for sums, parts in ((old, before), (new, now)):
        for part in parts:
            sums[part.origin] = sums.get(part.origin, 0) + part.chars
    origin = max(new, key=lambda name: new[name] - old.get(name, 0), default=None)
    return None if origin is None or new[origin] <= old.get(origin, 0) else (origin, old.get(origin, 0), new[origin])


def growth_sentence(strand: Strand, turn: Turn, window_tokens: int | None) -> tuple[str, dict[str, int]]:
    """How the prompt has grown, which part of it, what was sent again, and what the next turns would cost; with the figures."""
    growth = strand.growth_tokens(turn.tokens)
    resent, sent = strand.resent_tokens + _held(strand, turn), strand.sent_tokens + turn.tokens
    figures = {
        "first_tokens": strand.first_tokens, "prompt_tokens": turn.tokens, "growth_tokens": growth,
        "turn_count": strand.turn_count + 1, "resent_tokens": resent, "sent_tokens": sent,
    }  # fmt: skip
    grown = (
        f"the prompt grew from {strand.first_tokens:,} to about {turn.tokens:,} tokens in {strand.turn_count + 1} turns "
        f"({turn.tokens / max(1, strand.first_tokens):.1f} times, lately {growth:,} a turn)"
    )
    said = [grown]
    part = grown_part(strand.first_parts, turn.parts)
    if part is not None:
        said.append(f"{_named(part[0])} are {turn.share(part[0]):.0%} of it")
    said.append(f"{resent / max(1, sent):.0%} of the {sent:,} tokens sent so far had been sent before{_price(turn, resent)}")
    return "; ".join([*said, *_ahead(turn, growth, window_tokens, figures)]), figures


def _held(strand: Strand, turn: Turn) -> int:
    return min(turn.tokens, strand.last.tokens) if strand.last is not None else 0


def _named(origin: str) -> str:
    """An origin in words."""
    return {"system": "system prompts", "user": "user messages", "assistant": "the model's answers", "tools": "tool schemas"}.get(
        origin, f"{origin} results"
    )


def _price(turn: Turn, resent: int) -> str:
    if turn.prices is None or not turn.tokens:
        return ""
    nanos = turn.prices.plain(turn.tokens, 0) * resent // turn.tokens
    return f" ({format_usd(nanos)} at the price without a cache)" if nanos else ""


def _ahead(turn: Turn, growth: int, window_tokens: int | None, figures: dict[str, int]) -> list[str]:
    """What comes if it goes on like that: to the window where that is in sight, else for the next turns."""
    left = turns_until(turn.tokens + turn.answer_tokens, window_tokens, growth)
    if growth == 0 or turn.prices is None:
        return []
    count = FAR_TURNS if left is None else min(left + 1, FAR_TURNS)
    nanos = input_nanos(turn.prices, turn.tokens, growth, count)
    figures |= {"ahead_turn_count": count, "ahead_nanos": nanos}
    goal = f"until its window of {window_tokens:,} is full" if left is not None and left < FAR_TURNS else "at this growth"
    return [f"the next {count} turns {goal} would send {format_usd(nanos)} of prompts"] if nanos else []
