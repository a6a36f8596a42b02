"""`load_policy(path).guard()`: a checked, frozen policy, and the guard it makes."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from runguard_core.alerts import Alerting, attach, ladder_source
from runguard_core.budgets import Budget, Limit, parse_limit
from runguard_core.detectors import Repetition, ToolRule
from runguard_core.errors import InvalidAmountError, PolicyError
from runguard_core.finops import CALENDAR, Calendar
from runguard_core.finops.owners import Ladder, Planned, Registry
from runguard_core.finops.planning import MetricBook, Plan, Resolved
from runguard_core.guard import Guard, Rules, rules_of
from runguard_core.ledger import Store, Unit
from runguard_core.money import usd_to_nanos
from runguard_core.policy._alerts import alerting_of, check_alerts
from runguard_core.policy._anomalies import anomaly_rules
from runguard_core.policy._attribution import attribution_rules
from runguard_core.policy._calendar import calendar_of
from runguard_core.policy._detectors import detectors_of
from runguard_core.policy._escalation import ladder_of, planned_of
from runguard_core.policy._flattening import recorded_keys
from runguard_core.policy._following import Limits
from runguard_core.policy._layers import find_file, overriding, read_layers
from runguard_core.policy._metrics import metrics_at
from runguard_core.policy._mistakes import first_mistake
from runguard_core.policy._people import named, registry_of
from runguard_core.policy._plan import metric_rules_of, plan_of
from runguard_core.policy._schema import Assume, Degraded, PolicyFile, PriceTable
from runguard_core.policy._turn_tables import turn_detectors
from runguard_core.prices import PriceBook, PriceOverride, flat_rates


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy that has been checked.

    Attributes:
        content: the file's content, defaults filled in.
        file: where it was read, None for defaults and environment only.
        hash: first 16 hexadecimal digits of the content's SHA-256; kept with every call.
        rules: what a guard decides by.
        environments: names of the file's `[env.NAME]` tables.
        limits: what limits that follow a budget or a metric came to, in the order of the budgets.
    """

    content: PolicyFile
    file: str | None
    hash: str
    rules: Rules
    environments: tuple[str, ...] = ()
    limits: tuple[Resolved, ...] = ()

    @property
    def calendar(self) -> Calendar:
        """How reviews, statements and plans count time."""
        return calendar_of(self.content.calendar, self.rules.zone)

    @property
    def registry(self) -> Registry:
        """Who answers for what."""
        it = self.content
        return registry_of(it.contacts, it.features, it.teams, it.agents, owner=it.owner, team=it.team)

    @property
    def planned(self) -> tuple[Planned, ...]:
        """Windows in which more is spent on purpose."""
        return planned_of(self.content.planned, self.calendar)

    @property
    def ladder(self) -> Ladder:
        """Who hears of what."""
        watch = self.rules.anomalies.watch
        return ladder_of(
            self.content.escalation, self.rules.budgets, min_impact_nanos=watch.min_impact_nanos,
            min_history_days=watch.min_history_days,
        )  # fmt: skip

    @property
    def alerting(self) -> Alerting:
        """Where alerts go, with the secrets that the environment has now."""
        ladder = ladder_source(self.registry, self.ladder, self.calendar, self.planned)
        return alerting_of(self.content.alerts, self.registry, ladder)

    @property
    def plan(self) -> Plan:
        """What is planned to be spent a month."""
        return plan_of(self.content.plan)

    def with_metrics(self, book: MetricBook, today: date) -> Policy:
        """The same policy with limits that follow metrics as they come to on a local day."""
        content, name = self.content, self.file or ""
        try:
            budgets, limits = _budgets(content, self.calendar, book, today)
        except PolicyError as error:
            raise PolicyError(file=name, key=error.key, expected=error.expected) from None
        return replace(self, rules=replace(self.rules, budgets=tuple(budgets)), limits=limits)

    def in_force(self, store: Store | str | None = None, now: datetime | None = None) -> Policy:
        """The same policy with limits that follow metrics as its ledger has them; itself where none does.

        Args:
            store: the ledger or its URL; None is the policy's. now: any instant of the day (UTC); None is today.
        """
        if all(limit.metric is None for limit in self.limits):
            return self
        book = metrics_at(self.content.store if store is None else store, self.rules.defaults.app)
        return self.with_metrics(book, self.calendar.date_of(now or datetime.now(UTC)))

    def guard(self, **more: Any) -> Guard:
        """A guard under this policy; `store`, `listeners`, `clock` and `on_budget_exceeded` may be given.

        With `[alerts]` set it delivers alerts from a thread of its own. Limits that follow metrics are worked out from the ledger
        now, and stay as they are until another guard is made.
        """
        more.setdefault("store", self.content.store)
        clock = more.get("clock")
        policy = self.in_force(more["store"], clock.now() if clock is not None else None)
        return self.deliver_alerts(Guard(rules=policy.rules, **more))

    def deliver_alerts(self, guard: Guard) -> Guard:
        """The guard, which now delivers alerts if `[alerts]` names a channel."""
        if self.content.alerts.is_set:
            attach(guard, self.alerting)
        return guard


def load_policy(path: str | Path | None = None, environ: Mapping[str, str] | None = None) -> Policy:
    """Read and check a policy; nothing is started.

    Args:
        path: the file; None means RUNGUARD_POLICY, else ./runguard.toml if it is there, else the defaults.
        environ: the environment, that of the process when left out.

    Raises:
        PolicyError: naming file, key and what was expected.
    """
    env = os.environ if environ is None else environ
    file = find_file(path, env)
    raw, environments = read_layers(file, env)
    try:
        return checked(raw, str(file) if file is not None else "", environments)
    except PolicyError as error:
        variable = overriding(error.key, env)
        raise PolicyError(file=variable or error.file, key=error.key, expected=error.expected) from None


def checked(raw: Mapping[str, Any], name: str, environments: tuple[str, ...] = (), *, from_text: bool = False) -> Policy:
    """A policy from the content of a file.

    Args:
        raw: all layers laid over each other. name: of the file, "" for none. environments: names of its `[env.NAME]` tables.
        from_text: a value may be the text of one (from a command line); in a file `limit = true` is no dollar.

    Raises:
        PolicyError: naming file, key and what was expected.
    """
    try:
        content = PolicyFile.model_validate(raw, strict=not from_text)
    except ValidationError as error:
        raise first_mistake(error, raw, name) from None
    digest = sha256(json.dumps(content.model_dump(mode="json"), sort_keys=True).encode()).hexdigest()[:16]
    try:
        check_alerts(content.alerts, _channels_named(content))
        rules, limits = _rules(content, digest, name)
    except PolicyError as error:
        raise PolicyError(file=name, key=error.key, expected=error.expected) from None
    found = Policy(content, name or None, digest, rules, environments, limits)
    try:
        _ = found.ladder  # what stands in [escalation] is an amount
    except PolicyError as error:
        raise PolicyError(file=name, key=error.key, expected=error.expected) from None
    return found


def _channels_named(content: PolicyFile) -> dict[str, list[str]]:
    found = {f"contacts.{name}.channels": contact.channels for name, contact in content.contacts.items()}
    return found | {f"teams.{name}.channels": team.channels for name, team in content.teams.items()}


def _rules(content: PolicyFile, digest: str, file: str) -> tuple[Rules, tuple[Resolved, ...]]:
    settings: dict[str, Any] = {
        "quote": content.quote, "cap_output": content.cap_output, "timezone": content.timezone,
        "require": tuple(dict.fromkeys((*content.require, *content.attribution))),
        "attribution": attribution_rules(content.require, content.attribution),
        "owners": named(content.agents, content.features, "owner"),
        "runbooks": named(content.agents, content.features, "runbook"),
        "prices": PriceBook(_prices(content.prices)), "policy_hash": digest,
        "hash_users": content.privacy.hash_users,
        "policy_file": file, "policy_keys": recorded_keys(content.model_dump(mode="json", exclude_defaults=True)),
        "turn_detectors": turn_detectors(content.detectors), "advise": content.detectors.advise,
        "detectors": detectors_of(content.detectors), "detector_modes": _modes(vars(content.detectors)),
        "tool_rules": tuple(ToolRule(n, Repetition(t.repetition)) for n, t in content.tools.items()),
        "tool_prices_usd": {n: t.price_usd for n, t in content.tools.items() if t.price_usd is not None},
        "agent_modes": _modes(content.agents), "agent_owners": {n: a.owner for n, a in content.agents.items() if a.owner},
        "anomalies": anomaly_rules(content, idle_of(content)), **_unpriced(content), **_store_error(content),
    }  # fmt: skip
    who = {key: getattr(content, key) for key in ("feature", "team", "owner", "release") if getattr(content, key)}
    budgets, limits = _budgets(content, CALENDAR, MetricBook(), None)
    return rules_of(content.app, budgets, mode=content.mode, session_usd=None, daily_usd=None, **who, **settings), limits


def idle_of(content: PolicyFile) -> timedelta:
    """After how long without a call a session counts as finished.

    Raises:
        PolicyError: `session_idle` is no duration.
    """
    found = parse_limit(content.session_idle, key="session_idle")
    if found.unit is not Unit.SECONDS:
        raise PolicyError(key="session_idle", expected=f'expected a duration such as "1h", got {content.session_idle!r:.80}')
    return timedelta(milliseconds=found.amount)


def _budgets(
    content: PolicyFile, calendar: Calendar, book: MetricBook, today: date | None
) -> tuple[list[Budget], tuple[Resolved, ...]]:
    """The budgets, and what limits that follow came to; `today` None asks no metric."""
    plan = plan_of(content.plan)
    limits = Limits(content.budgets, metric_rules_of(content.plan), calendar, book, today, plan)
    budgets = [_budget(table, index, limits.limit(index)) for index, table in enumerate(content.budgets)]
    return budgets, tuple(found for _, found in sorted(limits.resolved.items()))


def _budget(table: Any, index: int, limit: Limit) -> Budget:
    values = table.model_dump(exclude={"locked", "limit", "fallback"})
    try:
        return Budget(limit, **values)
    except PolicyError as error:
        raise PolicyError(key=f"budgets.{index}.{error.key}", expected=error.expected) from None


def _modes(tables: Mapping[str, Any]) -> dict[str, str]:
    return {name: table.mode for name, table in tables.items() if getattr(table, "mode", None) is not None}


def _unpriced(content: PolicyFile) -> dict[str, Any]:
    if not isinstance(content.unpriced, Assume):
        return {"unpriced": content.unpriced}
    price = content.unpriced.assume_usd_per_mtok
    nanos = {kind: _nanos(getattr(price, kind), f"unpriced.assume_usd_per_mtok.{kind}") for kind in ("input", "output")}
    return {"assumed_rates": flat_rates(nanos, model_id="assumed")}


def _store_error(content: PolicyFile) -> dict[str, Any]:
    if not isinstance(content.on_store_error, Degraded):
        return {"on_store_error": content.on_store_error}
    return {"on_store_error": "degraded", "degraded_limit_usd": content.on_store_error.degraded_usd}


def _prices(tables: Mapping[str, PriceTable]) -> dict[str, PriceOverride]:
    found = {}
    for model, table in tables.items():
        given = {key: value for key, value in table.model_dump(exclude={"same_as"}).items() if value is not None}
        if bool(given) == bool(table.same_as):
            raise PolicyError(key=f"prices.{model}", expected="either same_as or prices such as input_usd_per_mtok")
        kinds = {key: key.removesuffix("_per_mtok").removesuffix("_usd") for key in given}
        nanos = {kinds[key]: _nanos(value, f"prices.{model}.{key}") for key, value in given.items()}
        found[model] = PriceOverride(same_as=table.same_as, nanos_per_mtok=nanos)
    return found


def _nanos(value: object, key: str) -> int:
    try:
        return usd_to_nanos(value)
    except InvalidAmountError:
        raise PolicyError(key=key, expected=f'expected USD such as "3", got {value!r:.80}') from None
