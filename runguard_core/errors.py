"""Everything RunGuard raises.

::

    RunguardError
    ├── StoppedError            the call was not sent: the only family an enforcing adapter raises
    │   ├── RefusedError        a budget said no
    │   └── TrippedError        a latch is set: a loop, a kill switch, an earlier refusal of this run
    ├── PriceError
    │   ├── UnknownModelError   also a LookupError
    │   └── PriceDataError
    ├── LedgerError
    │   ├── AlreadyPostedError, AlreadyVoidedError, ExpiredError
    │   └── ConflictingEntryError
    ├── StoreError
    │   ├── StoreUnavailableError
    │   └── StoreSchemaError
    ├── ExportError             a file for others that cannot be written, or does not fit this ledger
    ├── InvalidAmountError      also a ValueError
    └── PolicyError             also a ValueError

Each takes facts, keeps them as attributes and writes its own sentence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime
    from decimal import Decimal

    from runguard_core.calls import RunSummary

#: When a refused call may be tried again.
RETRY_NEVER = "never"
RETRY_AFTER_RESET = "after reset"
RETRY_WHEN_SETTLED = "when pending calls settle"


class RunguardError(Exception):
    """Root of everything RunGuard raises."""


class InvalidAmountError(RunguardError, ValueError):
    """An amount of money, tokens or seconds that cannot be one (NaN, negative, bool, too large)."""

    def __init__(self, value: object, expected: str) -> None:
        """Keep the value that was given and what was expected."""
        self.value = value
        self.expected = expected
        shown = repr(value)
        super().__init__(f"{shown[:80]} is not an amount: expected {expected}")


class StoppedError(RunguardError):
    """The call was not sent.

    Attributes:
        summary: what the run has to show for itself (spend, turns, tool calls); None before its first call.
        partial: the output so far, where the adapter has it (framework's own type, often a message list).
        owner, runbook: who answers for the cost and what is to be done, where the policy names them.
    """

    summary: RunSummary | None = None
    partial: Any = None
    owner: str | None = None
    runbook: str | None = None
    rule: str = "stopped"

    def __str__(self) -> str:
        """The sentence, and where the policy says so whom to ask and what to do."""
        asked = [f"owner: {self.owner}"] * (self.owner is not None) + [f"runbook: {self.runbook}"] * (self.runbook is not None)
        return " ".join([super().__str__(), *([f"({', '.join(asked)})"] if asked else [])])

    def retry_seconds(self, at: datetime) -> int | None:
        """Whole seconds from `at` after which the call may fit, at least 1; None where a person has to act first."""
        return None

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle by facts, so that a stop crosses process pools unharmed."""
        return _rebuild, (type(self), self.args, self.__dict__)


def _rebuild(cls: type[StoppedError], args: tuple[Any, ...], facts: dict[str, Any]) -> StoppedError:
    """Undo `StoppedError.__reduce__`."""
    error = cls.__new__(cls)
    error.args = args
    error.__dict__.update(facts)
    return error


class RefusedError(StoppedError):
    """A budget has no room for the call.

    Attributes:
        budget: the name of the budget that said no.
        unit: what it limits ("USD", "tokens", ...).
        limit, posted, pending, requested, available: Decimals in that unit.
        resets_at: when the window ends (UTC), None for windows without an end.
        retry: RETRY_NEVER, RETRY_AFTER_RESET or RETRY_WHEN_SETTLED.
        child: name of the sub-agent whose part was asked for; "" where it was a call.
        is_part: the budget is a sub-agent's part, which nobody can raise.
    """

    rule = "budget"

    def __init__(
        self,
        *,
        budget: str,
        unit: str,
        limit: Decimal,
        posted: Decimal,
        pending: Decimal,
        requested: Decimal,
        available: Decimal,
        scope: str = "",
        resets_at: datetime | None = None,
        retry: str = RETRY_NEVER,
        child: str = "",
        is_part: bool = False,
    ) -> None:
        """Keep the arithmetic of the refusal."""
        self.child, self.is_part = child, is_part
        self.budget, self.unit, self.scope = budget, unit, scope
        self.limit, self.posted, self.pending = limit, posted, pending
        self.requested, self.available = requested, available
        self.resets_at, self.retry = resets_at, retry
        super().__init__(self._sentence())

    def retry_seconds(self, at: datetime) -> int | None:
        """Until the window ends; 1 where calls in flight are in the way: nobody knows when they settle."""
        if self.retry == RETRY_NEVER:
            return None
        if self.retry == RETRY_WHEN_SETTLED or self.resets_at is None:
            return 1
        return max(1, round((self.resets_at - at).total_seconds()))

    def _sentence(self) -> str:
        where = f" ({self.scope})" if self.scope else ""
        asks = f"sub-agent {self.child!r}" if self.child else "the call"
        return (
            f"budget {self.budget!r}{where} has {self.available} {self.unit} left and {asks} asks for "
            f"{self.requested} {self.unit}: limit {self.limit} - posted {self.posted} - pending {self.pending}; "
            f"{self._way_out()}; {asks} was not {'started' if self.child else 'sent'}"
        )

    def _way_out(self) -> str:
        if self.retry == RETRY_WHEN_SETTLED:
            return "it may fit when pending calls settle"
        if self.retry == RETRY_AFTER_RESET and self.resets_at is not None:
            return f"it frees at {self.resets_at:%Y-%m-%d %H:%M %Z}".rstrip()
        return "a sub-agent with a larger limit may go on" if self.is_part else "raise the limit to go on"


class TrippedError(StoppedError):
    """A latch is set for a scope of this call.

    Attributes:
        scope: what is stopped, for example "run 01J..." or "app search".
        verdict: the sentence that says what was seen.
        rule: the rule that tripped ("repeat", "budget", "kill", ...).
        since: when it tripped (UTC).
        how_to_clear: what a person can do.
    """

    def __init__(self, *, scope: str, rule: str, verdict: str, since: datetime, how_to_clear: str) -> None:
        """Keep what tripped, when, on what evidence."""
        self.scope, self.rule, self.verdict = scope, rule, verdict
        self.since, self.how_to_clear = since, how_to_clear
        super().__init__(f"{scope} is stopped by rule {rule!r}: {verdict}; {how_to_clear}; the call was not sent")


class PriceError(RunguardError):
    """A price could not be found or read."""


class UnknownModelError(PriceError, LookupError):
    """No price is known for a model.

    Attributes:
        provider, model: as the call named them.
        nearest: listed names that look alike, best first.
    """

    def __init__(self, *, provider: str | None, model: str, nearest: Sequence[str] = ()) -> None:
        """Keep the names and the nearest listed ones."""
        self.provider, self.model, self.nearest = provider, model, tuple(nearest)
        near = f"; nearest known: {', '.join(self.nearest)}" if self.nearest else ""
        who = f"{provider}/{model}" if provider else model
        super().__init__(
            f"no price is known for model {who!r}{near}; add to the policy:\n"
            f'[prices."{model}"]\nsame_as = "{self.nearest[0] if self.nearest else "PROVIDER:MODEL"}"'
            '   # or: input_usd_per_mtok = "3", output_usd_per_mtok = "15"  ("0" for a free local model),'
            ' or per_request_usd = "0.04" where calls are billed by the piece'
        )


class PriceDataError(PriceError):
    """A price table or override that cannot be read: which file, which key, what was expected."""

    def __init__(self, *, file: str, key: str, expected: str) -> None:
        """Keep where the mistake is and what was expected there."""
        self.file, self.key, self.expected = file, key, expected
        super().__init__(f"{file}: {key}: expected {expected}")


class LedgerError(RunguardError):
    """A verb that contradicts what the book already says about a call.

    Attributes:
        call_id: the call it speaks of.
    """

    said = "the ledger already says otherwise"

    def __init__(self, call_id: str, detail: str = "") -> None:
        """Keep the call's id."""
        self.call_id = call_id
        super().__init__(f"call {call_id}: {self.said}{': ' + detail if detail else ''}")


class AlreadyPostedError(LedgerError):
    """The call was posted before."""

    said = "already posted"


class AlreadyVoidedError(LedgerError):
    """The call was voided before (or its id carries a tombstone)."""

    said = "already voided"


class ExpiredError(LedgerError):
    """The hold of the call had expired."""

    said = "its hold had expired"


class ConflictingEntryError(LedgerError):
    """The same id came with other content."""

    said = "the same id came with other content"


class LeaseLostError(RunguardError):
    """The owner of a lease has been given up by others, who charged what it had leased: it must enlist again under a new id.

    Attributes:
        owner: its id.
    """

    def __init__(self, owner: str) -> None:
        """Keep the owner's id."""
        self.owner = owner
        super().__init__(f"owner {owner}: its leases were closed by somebody else; it must enlist again under a new id")


class StoreError(RunguardError):
    """The store failed. Attributes: `store`, its URL or path; `reason`; `way_out`, what to do."""

    def __init__(self, store: str, reason: str, way_out: str = "") -> None:
        """Keep which store, why, and the way out."""
        self.store, self.reason, self.way_out = store, reason, way_out
        super().__init__(f"{store}: {reason}{'; ' + way_out if way_out else ''}")


class StoreUnavailableError(StoreError):
    """The store cannot be reached or written (locked, read-only, full, deleted, corrupt)."""


class StoreSchemaError(StoreError):
    """The store was written by another version of the schema."""


class ExportError(RunguardError):
    """Rows that cannot be written for others. Attributes: `place`, file or folder; `reason`; `way_out`, what to do."""

    def __init__(self, place: str, reason: str, way_out: str = "") -> None:
        """Keep where, why, and the way out."""
        self.place, self.reason, self.way_out = place, reason, way_out
        super().__init__(f"{place}: {reason}{'; ' + way_out if way_out else ''}")


class PolicyError(RunguardError, ValueError):
    """A policy that cannot be used.

    Attributes:
        file: where it was read ("" when given in code).
        key: the dotted key at fault.
        expected: what belongs there.
    """

    def __init__(self, *, key: str, expected: str, file: str = "") -> None:
        """Keep file, key and what was expected."""
        self.file, self.key, self.expected = file, key, expected
        super().__init__(f"{file + ': ' if file else ''}{key}: {expected}")
