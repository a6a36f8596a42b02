"""A ledger of cassettes against the usage that the provider reported in them: no difference."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from runguard_core.finops.bills import DIMENSIONS, KeyRing, Reconciliation, Valuer, family, read_report, reconcile, rows_of_totals
from runguard_core.finops.bills._lines import tokens_of
from runguard_core.ledger import CallFilter, model_of
from runguard_core.prices import PriceBook
from runguard_core.testing import CassetteProvider
from runguard_core.usage import Usage
from tests.finops.bills.making import USAGE, Part
from tests.integrations.langchain.test_cassettes import OURS, PATHS, replay, reported


def answers(protocol: str, path: Path) -> list[Usage]:
    """The usage of every recorded answer that states one."""
    found = []
    with CassetteProvider(path) as provider:
        for exchange in provider.exchanges:
            exchange.played = True
            is_chat = exchange.path == PATHS[protocol] and exchange.status == 200 and isinstance(exchange.request_body, dict)
            usage = reported(protocol, exchange.body) if is_chat else None
            if usage is not None:
                found.append(usage)
    return found


def compared(protocol: str, path: Path, guard: Any) -> Reconciliation | None:
    """Play a cassette into a ledger, and hold the usage that it states against it; None where its client cannot read it all."""
    wanted = answers(protocol, path)
    if not wanted or replay(protocol, path, guard) != len(wanted):
        return None
    used = [call for call in guard.store.calls(CallFilter()) if call.settlement is not None and call.settlement.usage is not None]
    today, parts = datetime.now(UTC).date(), dict[str, Part]()
    for call, usage in zip(used, wanted, strict=True):
        model = family(model_of(call) or call.name)
        part = parts.setdefault(model, Part(today, "p", model))
        part.requests += 1
        for kind, count in tokens_of(usage, has_hour=protocol == "anthropic").items():
            part.tokens[kind] += count
    days = [today + timedelta(days=number) for number in (-1, 0, 1)]
    bill, ring = read_report([("usage.json", USAGE[protocol](list(parts.values()), days))], protocol), KeyRing((), protocol)
    books = rows_of_totals(guard.store.totals(DIMENSIONS, CallFilter()), ring, has_hour=bill.has_hour)
    return reconcile(bill, books, ring, Valuer(PriceBook(), protocol))


def check(protocol: str, paths: list[Path], make_guard: Any) -> tuple[int, int]:
    """No difference in any of them; how many were compared, and their tokens."""
    found = [one for path in paths if (one := compared(protocol, path, make_guard(unpriced="flag"))) is not None]
    for one in found:
        assert one.differences == ()
        assert one.billed_tokens == one.booked_tokens > 0
    return len(found), sum(one.billed_tokens for one in found)


@pytest.mark.parametrize("protocol", ["openai", "anthropic"])
def test_our_own_cassettes(make_guard: Any, protocol: str) -> None:
    """Cached, cache-write and streamed tokens: each in its class."""
    paths = sorted(OURS.glob(f"{protocol}-*.yaml"))
    assert check(protocol, paths, make_guard)[0] == len(paths) == 2


@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning")
@pytest.mark.parametrize("protocol", ["openai", "anthropic"])
def test_cassettes_of_others(shared_data: Path, make_guard: Any, protocol: str) -> None:
    """Every one whose answers the client can read; the others' are no calls of the ledger."""
    count, tokens = check(protocol, sorted((shared_data / "cassettes" / protocol).glob("*.yaml")), make_guard)
    print(f"{protocol}: {count} cassettes, {tokens:,} tokens")
    assert count >= 10
