"""A prompt that grows turn by turn, and what that will cost: projected before it is sent."""

from __future__ import annotations

from dataclasses import dataclass

from runguard_core.detectors._turn import Turn
from runguard_core.detectors._turn_detector import TurnDetector
from runguard_core.detectors._turn_history import TurnHistory
from runguard_core.detectors._turn_projection import growth_sentence, turns_until
from runguard_core.detectors._turn_strand import SURGE_RATIO, Strand
from runguard_core.detectors._verdict import Severity, Verdict
from runguard_core.money import format_usd

#: Below so many tokens growth costs nothing worth a word.
_FLOOR_TOKENS = 16_000
#: Below so many a surge is announced and not stopped: it may yet come to rest.
_STOP_FLOOR_TOKENS = 30_000
#: A full window so few turns ahead is worth a word, once this share of it is used.
_NEAR_TURNS = 5
_NEAR_RATIO = 0.5
#: A prompt still grows when it is longer by this share a turn: it would double in fifty turns. Fewer turns make no trend.
_GROWS_RATIO = 0.02
_TREND_TURNS = 6
_CLIFF = "cliff"


@dataclass(frozen=True, slots=True)
class ContextGrowth(TurnDetector):
    """Each turn sends again what the ones before sent.

    Attributes:
        warn_tokens, warn_ratio: announced once a prompt has so many tokens and is so many times the first one, and still grows.
        surge_warn_after: turns in a row that each grew by a quarter more than the one before: announced.
        stop_after: so many of them; the prompt is not sent.
        stop_tokens: a prompt of more is not sent, however it came about; None: no such limit.
    """

    warn_tokens: int = 50_000
    warn_ratio: float = 4.0
    surge_warn_after: int = 4
    stop_after: int = 5
    stop_tokens: int | None = None
    rule: str = "context_growth"

    def quiet_tokens(self, turn: Turn) -> float:
        """A small prompt has no growth worth a look."""
        return _FLOOR_TOKENS if self.stop_tokens is None else min(_FLOOR_TOKENS, self.stop_tokens)

    def before(self, turns: TurnHistory, turn: Turn) -> Verdict | None:
        """Judge the projected prompt: a limit of its own, a surge, a price cliff, its size and the window ahead."""
        tokens = turn.tokens
        if self.stop_tokens is not None and tokens > self.stop_tokens and turn.is_chat:
            return self._stop(turn, f"the prompt has about {tokens:,} tokens, the policy allows {self.stop_tokens:,}")
        if tokens < _FLOOR_TOKENS or not turn.is_turn:
            return None
        strand = turn.strand
        if strand is None or strand.last is None:
            return None
        surges = strand.surges(tokens)
        if surges >= self.stop_after and tokens >= _STOP_FLOOR_TOKENS:
            return self._stop(turn, _surge(strand, turn, surges), surges)
        if turn.prices is not None and turn.prices.tiers and not turns.run.is_said(self.rule, _CLIFF):
            found = self._cliff(strand, turn)
            if found is not None:
                return found
        if turns.run.is_said(self.rule):
            return None
        if surges >= self.surge_warn_after:
            return self._warning(_surge(strand, turn, surges), {"prompt_tokens": tokens, "surge_count": surges})
        return self._size(strand, turn)

    def _stop(self, turn: Turn, evidence: str, count: int = 1) -> Verdict:
        figures = {"prompt_tokens": turn.tokens}
        return Verdict(rule=self.rule, severity=Severity.STOP, evidence=evidence, repeat_count=count, figures=figures)

    def _cliff(self, strand: Strand, turn: Turn) -> Verdict | None:
        """A tier of the price list that this prompt crosses, or the next one will."""
        assert turn.prices is not None
        assert strand.last is not None
        coming = turn.tokens + strand.growth_tokens(turn.tokens)
        start = next((start for start, _ in turn.prices.tiers if strand.last.tokens <= start < coming), None)
        if start is None:
            return None
        below, above = turn.prices.plain(start, 0), turn.prices.plain(start + 1, 0)
        whose = f"this prompt of about {turn.tokens:,}" if turn.tokens > start else f"the next prompt of about {coming:,}"
        evidence = (
            f"{whose} tokens crosses {start:,}, from where on {turn.model} has another price for the whole of it: "
            f"{format_usd(above)} instead of {format_usd(below)} there"
        )
        figures = {"prompt_tokens": turn.tokens, "next_tokens": coming, "cliff_tokens": start}
        return self._warning(evidence, figures, _CLIFF)

    def _size(self, strand: Strand, turn: Turn) -> Verdict | None:
        """Large and grown, or a full window a few turns ahead."""
        window, growth = turn.window_tokens({}), strand.growth_tokens(turn.tokens)
        is_large = turn.tokens >= self.warn_tokens and turn.tokens >= self.warn_ratio * strand.first_tokens
        is_trend = growth >= _GROWS_RATIO * turn.tokens and strand.turn_count + 1 >= _TREND_TURNS
        left = turns_until(turn.tokens + turn.answer_tokens, window, growth)
        is_near = window is not None and turn.tokens >= _NEAR_RATIO * window and left is not None and left <= _NEAR_TURNS
        if not (is_large and is_trend) and not is_near:
            return None
        evidence, figures = growth_sentence(strand, turn, window)
        return self._warning(evidence, figures)

    def _warning(self, evidence: str, figures: dict[str, int], topic: str = "") -> Verdict:
        return Verdict(rule=self.rule, severity=Severity.WARN, evidence=evidence, repeat_count=1, topic=topic, figures=figures)


def _surge(strand: Strand, turn: Turn, count: int) -> str:
    last = strand.last.tokens if strand.last is not None else 0
    return (
        f"{count} prompts in a row each grew at least {SURGE_RATIO:g} times as much as the one before, "
        f"the last by {turn.tokens - last:,} to about {turn.tokens:,} tokens"
    )
