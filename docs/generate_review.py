"""Makes the pictures of docs/finops/reviews.md: `python docs/generate_review.py`, from seeded traffic of sixteen weeks.

Six features, seven incidents; from the last week on sessions have a cap of 2 USD, so that the breaker has something to stop. Then
the anomalies are filed as `runguard anomalies --record` does, and one has its cause named. docs/finops/weekly.svg is the
terminal, docs/finops/weekly.png is the HTML page in Chromium (left as it is where none is installed).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections import defaultdict
from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path
from random import Random

from rich.console import Console

from runguard_core import events as ev
from runguard_core.cli import _main  # noqa: F401  fills the table of commands
from runguard_core.cli._anomalies import _record, _rows
from runguard_core.cli._review import read_week
from runguard_core.cli._review_text import print_page
from runguard_core.finops.reviews import html, weekly_page
from runguard_core.ledger import Event, Store
from runguard_core.policy import Policy, load_policy
from runguard_core.stores import open_store
from runguard_core.testing import Incident, IncidentKind, TrafficCall, draw_incident, ledger_rows, make_traffic, write_traffic

HERE = Path(__file__).parent / "finops"
START, WEEKS, APP = datetime(2026, 8, 3, tzinfo=UTC), 16, "shop"
LAST_WEEK = START + timedelta(weeks=WEEKS - 1)
CAP_NANOS = 2 * 10**9
#: What goes wrong, where, on which day.
PLAN = (
    (IncidentKind.LEAKED_KEY, "search", 30), (IncidentKind.CONTEXT_BLOAT, "code-review", 50),
    (IncidentKind.TRAFFIC_BURST, "ticket-triage", 60), (IncidentKind.SLOW_DRIFT, "report-writer", 78),
    (IncidentKind.PROMPT_REGRESSION, "sales-assistant", 106), (IncidentKind.MODEL_SWAP, "code-review", 106),
    (IncidentKind.RETRY_STORM, "search", 108),
)  # fmt: skip
POLICY = """
app = "shop"
require = ["feature", "team", "owner"]
[[budgets]]
name = "feature-week"
limit = "90 USD"
per = ["feature"]
period = "week"
[[budgets]]
name = "product"
limit = "1200 USD"
period = "month"
"""


def incidents() -> list[Incident]:
    """Drawn with one pair of dice."""
    dice = Random(5)
    return [draw_incident(kind, feature, START + timedelta(days=day), dice) for kind, feature, day in PLAN]


def capped(calls: Iterable[TrafficCall], stops: list[Event]) -> Iterator[TrafficCall]:
    """The calls that a cap a session lets pass; the first one of a session that it does not is a stop."""
    spent, stopped = defaultdict[str, int](int), set[str]()
    for call in calls:
        if call.at < LAST_WEEK or spent[call.session] + call.nanos <= CAP_NANOS:
            if call.session not in stopped:
                spent[call.session] += call.nanos if call.at >= LAST_WEEK else 0
                yield call
        elif call.session not in stopped:
            stopped.add(call.session)
            who = ledger_rows(call, APP)[0].attribution
            said = f"budget 'session' allows 2.00 USD, {spent[call.session] / 1e9:.4f} is spent"
            stops.append(ev.event(ev.CALL_REFUSED, ev.STOP, said, who, call.at, budget="session", unit="USD", retry="never"))


def fill(store: Store, policy: Policy) -> None:
    """The ledger of sixteen weeks, with its anomalies filed."""
    stops: list[Event] = []
    traffic = make_traffic(START, 7 * WEEKS, seed=3, incidents=incidents())
    write_traffic(store, capped(traffic.calls, stops), APP)
    store.announce(stops)
    rows, _ = _rows(store, policy, APP, None)
    _record(store, rows, APP)


def screenshot(page: Path, picture: Path) -> None:
    """The page in a browser, if there is one."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        sys.exit("no Chromium here: docs/finops/weekly.png stays as it is")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1100,1750"]
    subprocess.run([browser, *flags, f"--screenshot={picture}", page.as_uri()], check=True, capture_output=True)


def main() -> None:
    """Both pictures."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "runguard.toml").write_text(POLICY)
        policy, store = load_policy(Path(folder) / "runguard.toml"), open_store(f"sqlite:///{folder}/shop.db")
        fill(store, policy)
        page = weekly_page(read_week(store, policy, APP, f"{date(2026, 11, 16)}"))
        store.close()
        console = Console(record=True, width=100, highlight=False, emoji=False, file=StringIO())
        print_page(console, page)
        (HERE / "weekly.svg").write_text(console.export_svg(title="runguard review weekly", unique_id="weekly"))
        (Path(folder) / "weekly.html").write_text(html(page))
        screenshot(Path(folder) / "weekly.html", HERE / "weekly.png")


if __name__ == "__main__":
    main()
