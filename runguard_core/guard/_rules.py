"""The settings of a guard, frozen: what a policy file or a constructor boils down to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, tzinfo
from enum import StrEnum
from typing import Any

from runguard_core.attribution import Attribution
from runguard_core.budgets import Budget, Mode
from runguard_core.detectors import Detector, ToolRule, TurnDetector, default_detectors, default_turn_detectors
from runguard_core.guard._anomaly_rules import AnomalyRules
from runguard_core.guard._attribution_rules import AttributionRule
from runguard_core.prices import PriceBook, Rates


class QuoteMode(StrEnum):
    """EXPECTED sets aside what a call probably costs; BOUND the most it can cost."""

    EXPECTED = "expected"
    BOUND = "bound"


class Unpriced(StrEnum):
    """A model without a price under a USD budget: refuse the call, or let it pass and mark it."""

    DENY = "deny"
    FLAG = "flag"


class OnStoreError(StrEnum):
    """The ledger cannot be asked: refuse, admit up to a cap of unverified spend, or admit."""

    REFUSE = "refuse"
    DEGRADED = "degraded"
    ADMIT = "admit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """Everything a guard decides by.

    Attributes:
        defaults: attribution of calls that say nothing themselves.
        budgets: the limits.
        mode: for budgets, detectors and agents that name none.
        agent_modes: mode by agent name; detector_modes: by rule.
        agent_owners: owner by agent name.
        quote: EXPECTED or BOUND.
        cap_output: lower the request's output limit to what was reserved even for expected quotes.
        unpriced: DENY or FLAG; assumed_rates: the price to assume instead.
        zone: time zone of calendar windows.
        advise: put warnings, and what budgets leave, where the agent can read them (changes prompts).
        detectors: of tool calls; turn_detectors: of model calls; tool_rules: how repetition of a tool is judged.
        tool_prices_nanos: price per call of paid tools, nano-USD.
        require: dimensions that reports count on; a call without one is filed as unattributed.
        attribution: the same with the values that are allowed, and whether other calls are refused.
        owners, runbooks: who answers and what is to be done, by scope ("agent:NAME", "feature:NAME"): for those who are stopped.
        on_store_error: REFUSE, DEGRADED or ADMIT; degraded_limit_nanos: unverified spend allowed per process.
        hold_seconds: how long a hold lives without being renewed.
        anomalies: how spend is watched.
        hash_users: keep users' ids as keyed digests.
        policy_hash: of the file these come from, "" for code.
        policy_file: its name, "" for code; policy_keys: what it says, by key, secrets as digests: for the record of changes.
    """

    defaults: Attribution
    budgets: tuple[Budget, ...] = ()
    mode: Mode = Mode.ENFORCE
    agent_modes: Mapping[str, Mode] = field(default_factory=dict)
    agent_owners: Mapping[str, str] = field(default_factory=dict)
    detector_modes: Mapping[str, Mode] = field(default_factory=dict)
    quote: QuoteMode = QuoteMode.EXPECTED
    cap_output: bool = False
    unpriced: Unpriced = Unpriced.DENY
    assumed_rates: Rates | None = None
    prices: PriceBook = field(default_factory=PriceBook)
    zone: tzinfo = UTC
    advise: bool = False
    detectors: tuple[Detector, ...] = field(default_factory=default_detectors)
    turn_detectors: tuple[TurnDetector, ...] = field(default_factory=default_turn_detectors)
    tool_rules: tuple[ToolRule, ...] = ()
    tool_prices_nanos: Mapping[str, int] = field(default_factory=dict)
    require: tuple[str, ...] = ()
    attribution: tuple[AttributionRule, ...] = ()
    owners: Mapping[str, str] = field(default_factory=dict)
    runbooks: Mapping[str, str] = field(default_factory=dict)
    on_store_error: OnStoreError = OnStoreError.REFUSE
    degraded_limit_nanos: int = 10**9
    hold_seconds: float = 600.0
    anomalies: AnomalyRules = field(default_factory=AnomalyRules)
    hash_users: bool = False
    policy_hash: str = ""
    policy_file: str = ""
    policy_keys: Mapping[str, Any] = field(default_factory=dict)

    def active_turn_detectors(self) -> tuple[TurnDetector, ...]:
        """Those that are not off, so that what is off costs nothing."""
        return tuple(found for found in self.turn_detectors if self.detector_modes.get(found.rule) is not Mode.OFF)

    def mode_of(self, agent: str | None) -> Mode:
        """The mode that holds for an agent's calls."""
        if agent is None or not self.agent_modes:
            return self.mode
        return self.agent_modes.get(agent, self.mode)

    def answering(self, who: Attribution) -> tuple[str | None, str | None]:
        """Owner and runbook of a call: its agent's, else its feature's, else the owner that it carries."""
        scopes = (f"agent:{who.agent}", f"feature:{who.feature}")
        owner, runbook = (
            next((found[scope] for scope in scopes if scope in found), None) for found in (self.owners, self.runbooks)
        )
        return owner or who.owner, runbook

    def active_detectors(self) -> tuple[Detector, ...]:
        """Those that are not switched off: the others cost nothing."""
        return tuple(one for one in self.detectors if self.detector_modes.get(one.rule) is not Mode.OFF)
