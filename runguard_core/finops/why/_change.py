"""`why`: what changed the spend of two windows, per feature and in sum."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction

from runguard_core.errors import UnknownModelError
from runguard_core.finops._calendar import Window
from runguard_core.finops.why._measured import Measured, ModelKey, measured
from runguard_core.finops.why._splitting import FACTORS, Factor, Weights, WeightsOf, split_change
from runguard_core.ledger import Store
from runguard_core.prices import PriceBook


@dataclass(frozen=True, slots=True)
class Change:
    """What changed the spend of a feature, or of all of them.

    Attributes:
        name: the feature; "" for all.
        before, after: what spend was made of.
        effects: nano-USD by factor, adding up to `nanos` exactly.
    """

    name: str
    before: Measured
    after: Measured
    effects: Mapping[Factor, int]

    @property
    def nanos(self) -> int:
        """Spend after less spend before, nano-USD."""
        return self.after.nanos - self.before.nanos

    def largest(self, count: int) -> tuple[tuple[Factor, int], ...]:
        """The largest effects, either way, of those that are any."""
        ordered = sorted(self.effects.items(), key=lambda row: (-abs(row[1]), FACTORS.index(row[0])))
        return tuple(row for row in ordered[:count] if row[1])


@dataclass(frozen=True, slots=True)
class Why:
    """The answer.

    Attributes:
        before, after: the windows. whole: all features; features: each, the largest change first.
    """

    before: Window
    after: Window
    whole: Change
    features: tuple[Change, ...]


def why(store: Store, app: str | None, windows: tuple[Window, Window], prices: PriceBook, feature: str | None = None) -> Why:
    """Split the change of spend from the first window to the second.

    Args:
        app: whose calls; None for all. prices: what kinds of tokens weigh against each other. feature: only this one.
    """
    sides = tuple(measured(store, app, window) for window in windows)
    names = sorted(set(sides[0]) | set(sides[1])) if feature is None else [feature]
    weights = weights_at(prices, windows[0].start), weights_at(prices, windows[1].start)
    changes = [change(name, sides[0].get(name, Measured()), sides[1].get(name, Measured()), weights) for name in names]
    changes.sort(key=lambda one: (-abs(one.nanos), one.name))
    return Why(*windows, summed(changes), tuple(changes))


def change(name: str, before: Measured, after: Measured, weights: tuple[WeightsOf, WeightsOf]) -> Change:
    """Of one feature."""
    return Change(name, before, after, dict(zip(FACTORS, split_change(before, after, weights), strict=True)))


def summed(changes: list[Change]) -> Change:
    """All features together: effects added, not split anew."""
    effects = {factor: sum(one.effects[factor] for one in changes) for factor in FACTORS}
    before = sum((one.before for one in changes), Measured())
    return Change("", before, sum((one.after for one in changes), Measured()), effects)


def weights_at(prices: PriceBook, at: datetime) -> WeightsOf:
    """What kinds of tokens weigh by the price list of an instant; nothing for models that it does not know."""

    def weights_of(key: ModelKey) -> Weights | None:
        provider, model = key
        try:
            table = prices.rates(model, provider or None, at).base
        except UnknownModelError:
            return None
        return tuple(Fraction(coefficient, table.scale) for coefficient in table.coefficients)

    return weights_of
