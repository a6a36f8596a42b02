"""What a generated prompt is made of, by origin: instructions, schemas, questions, answers, tools' results.

Worked out from the sizes that were drawn, without dice: the traffic of a seed stays what it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from runguard_core.calls import PromptPart
from runguard_core.testing._traffic_features import FeatureTraffic
from runguard_core.testing._traffic_incidents import IncidentKind

#: A token of generated text.
CHARS_PER_TOKEN = 4
#: Of what is sent with every call, the schemas of tools; the rest is instructions.
_SCHEMAS_RATIO = 0.4
#: Where the tokens are that an incident adds to prompts.
_BLAME = {
    IncidentKind.CONTEXT_BLOAT: "tool",
    IncidentKind.PROMPT_REGRESSION: "system",
    IncidentKind.SLOW_DRIFT: "assistant",
}


@dataclass(slots=True)
class PromptMakeup:
    """The history of one session as its prompts hold it, by origin, in tokens.

    Attributes:
        of: whose prompts. tokens, counts: by origin, messages too. sent: characters of this run's latest prompt, by origin.
    """

    of: FeatureTraffic
    tokens: dict[str, int] = field(default_factory=lambda: {"user": 0, "assistant": 0, "tool": 0})
    counts: dict[str, int] = field(default_factory=lambda: {"user": 0, "assistant": 0, "tool": 0})
    sent: dict[str, int] = field(default_factory=dict)

    def add(self, origin: str, tokens: int) -> None:
        """One more message."""
        self.tokens[origin] += tokens
        self.counts[origin] += 1

    def begin_run(self) -> None:
        """No prompt of this run has been sent yet."""
        self.sent = {}

    def keep(self, kept_tokens: int) -> None:
        """Older turns are dropped: what is left has the same proportions."""
        held = sum(self.tokens.values())
        if held > kept_tokens:
            for origin, tokens in self.tokens.items():
                self.tokens[origin] = tokens * kept_tokens // held

    def parts(self, input_tokens: int, cause: IncidentKind | None = None) -> tuple[PromptPart, ...]:
        """The prompt that is sent now; its characters are those of all its tokens.

        Args:
            input_tokens: the whole prompt. cause: the incident that made it longer than the history says.
        """
        of, held = self.of, self.tokens
        schemas = round(of.system_tokens * _SCHEMAS_RATIO)
        sizes = {"system": of.system_tokens - schemas, "tools": schemas, **held}
        more = input_tokens - sum(sizes.values())
        origin = _BLAME.get(cause, "user") if cause is not None else "user"
        sizes[origin] = max(0, sizes[origin] + more)
        chars = {name: CHARS_PER_TOKEN * tokens for name, tokens in sizes.items() if tokens}
        made = tuple([self._part(name, size) for name, size in chars.items()])
        self.sent = {name: max(size, self.sent.get(name, 0)) for name, size in chars.items()}
        return made

    def _part(self, name: str, size: int) -> PromptPart:
        known: Mapping[str, int] = self.sent
        origin = f"tool:{self.of.tool}" if name == "tool" else name
        return PromptPart(origin, size, max(1, self.counts.get(name, 1)), size - min(size, known.get(name, 0)))
