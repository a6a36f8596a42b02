"""What a model's own answers teach: tokens per character of its prompts, and how long its answers get."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections import deque

from runguard_core.calls import ModelCall
from runguard_core.money import ceil_div
from runguard_core.usage import Usage

#: Tokens per character before anything is known. Recorded chat requests of OpenAI have a median of 0.21, sum over sum
#: 0.21; short prompts and code more; a quarter is the usual rule of thumb and errs on the dear side.
PRIOR_TOKENS_PER_CHAR = 0.25
#: Tokens that frame a message (role, separators) and a request, whatever its text; OpenAI counts 8 for a bare "hi".
FRAMING_TOKENS = 4
REQUEST_TOKENS = 3
#: Output tokens expected of an (agent, model) that has not answered yet: the 99th percentile of chat answers in Azure's
#: public trace of 2023 (613 of 9,683).
PRIOR_OUTPUT_TOKENS = 613
_WINDOW = 512
_MAX_KEYS = 2000
_QUANTILE = 0.99
#: Below so many answers the largest one seen, with a margin, stands for the quantile.
_ENOUGH = 100
_PRIOR_WEIGHT_CHARS = 2000
#: Largest answers of the window kept in order; half of them stay when there are more.
_MAX_LARGEST = 128


def framing_tokens(message_count: int) -> int:
    """Tokens of a prompt of so many messages that are not its text."""
    return REQUEST_TOKENS + FRAMING_TOKENS * (message_count or 1)


class Lesson:
    """What is known of one agent's calls of one model.

    Attributes:
        inputs: tokens per character of the model's prompts, whichever agent's.
        output_tokens: the running 99th percentile of one answer's tokens, or the prior.
    """

    __slots__ = ("_answers", "inputs", "output_tokens")

    def __init__(self, inputs: Inputs) -> None:
        """Nothing known of the answers; of the prompts what the model's other agents have taught."""
        self.inputs, self._answers = inputs, Window()
        self.output_tokens = PRIOR_OUTPUT_TOKENS

    def observe(self, call: ModelCall, usage: Usage) -> None:
        """Learn from a call whose usage the provider reported in full."""
        chars, message_count = call.prompt_size
        if chars and not call.media_count:
            tokens = usage.input_tokens - REQUEST_TOKENS - FRAMING_TOKENS * (message_count or 1)
            self.inputs.add(max(0, tokens), chars)
        choices = call.choice_count
        self.output_tokens = self._answers.add(usage.output_tokens if choices <= 1 else ceil_div(usage.output_tokens, choices))


class Learned:
    """Bounded and cheap: one observation costs a few comparisons. Not locked: who shares lessons between threads does that."""

    def __init__(self) -> None:
        """Nothing known."""
        self._inputs: dict[str, Inputs] = {}
        self._lessons: dict[tuple[str | None, str], Lesson] = {}

    def lesson(self, agent: str | None, model: str) -> Lesson:
        """What is known of an agent's calls of a model; kept up to date by `Lesson.observe`."""
        return self._lessons.get((agent, model)) or self._begin(agent, model)

    def _begin(self, agent: str | None, model: str) -> Lesson:
        if len(self._lessons) >= _MAX_KEYS:
            self._lessons.clear()
            self._inputs.clear()
        return self._lessons.setdefault((agent, model), Lesson(self._inputs.setdefault(model, Inputs())))


class Inputs:
    """The tokens of a model's prompts over their characters, sum over sum."""

    __slots__ = ("_chars", "_tokens", "tokens_per_char")

    def __init__(self) -> None:
        """The prior, with the weight of a short prompt."""
        self._chars, self._tokens = _PRIOR_WEIGHT_CHARS, PRIOR_TOKENS_PER_CHAR * _PRIOR_WEIGHT_CHARS
        self.tokens_per_char = PRIOR_TOKENS_PER_CHAR

    def add(self, tokens: int, chars: int) -> None:
        """One more prompt."""
        self._tokens += tokens
        self._chars += chars
        self.tokens_per_char = self._tokens / self._chars


class Window:
    """The latest answers' lengths, with the largest of them in order: the percentile lies among those."""

    __slots__ = ("_largest", "_latest", "_percentile")

    def __init__(self) -> None:
        """Empty."""
        self._latest: deque[int] = deque()
        self._largest: list[int] = []
        self._percentile = 0

    def add(self, tokens: int) -> int:
        """One more answer; the percentile with it."""
        latest, largest = self._latest, self._largest
        latest.append(tokens)
        oldest = latest.popleft() if len(latest) > _WINDOW else None
        if oldest is not None and (oldest == tokens or oldest < largest[0] > tokens):
            return self._percentile  # what lies above it has not changed
        if not largest or tokens >= largest[0]:
            insort(largest, tokens)
        if oldest is not None and oldest >= largest[0]:
            del largest[bisect_left(largest, oldest)]
        self._percentile = self._found(latest, largest)
        return self._percentile

    def _found(self, latest: deque[int], largest: list[int]) -> int:
        count = len(latest)
        place = 1 if count <= _ENOUGH else count - int(count * _QUANTILE)
        if len(largest) < place:
            largest[:] = sorted(latest)[-_MAX_LARGEST // 2 :]
        elif len(largest) > _MAX_LARGEST:
            del largest[: _MAX_LARGEST // 2]
        if count >= _ENOUGH:
            return largest[-place] or 1
        # the fewer answers, the wider the margin: +50 % after one, +5 % after ten
        return ceil_div(largest[-1] * (2 * count + 1), 2 * count) or 1
