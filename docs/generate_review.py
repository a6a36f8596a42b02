"""Makes the pictures of docs/finops/reviews.md: `python docs/generate_review.py`, about a minute.

The ledger is that of `runguard demo --weeks 16 --until 2026-11-22`; then people say what they found and take actions on, as they
would with `runguard anomaly resolve` and `runguard actions`. docs/finops/weekly.svg is the terminal, docs/finops/weekly.png the
HTML page in Chromium (left as it is where none is installed).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, date, datetime, timedelta
from io import StringIO
from pathlib import Path

from rich.console import Console

from runguard_core.cli import _main  # noqa: F401  fills the table of commands
from runguard_core.cli._demo_weeks import run_weeks, wanted_of
from runguard_core.cli._review import read_week
from runguard_core.cli._review_text import print_page
from runguard_core.finops.actions import Size, finishing, opening, read_actions
from runguard_core.finops.owners import acknowledged_event, cases, resolved_event
from runguard_core.finops.reviews import html, weekly_page
from runguard_core.ledger import Store
from runguard_core.policy import load_policy
from runguard_core.stores import open_store

HERE = Path(__file__).parent / "finops"
MEETING = datetime(2026, 11, 23, 9, tzinfo=UTC)
WEEK = MEETING - timedelta(days=7, hours=9)
APP = "demo-shop"
#: What is to be done, where, by whom, until when.
ACTIONS = (
    ("Read articles in short form", "support-chat", "ana@example.com", date(2026, 11, 12)),
    ("Mark the system prompt for the cache", "report-writer", "dan@example.com", date(2026, 11, 20)),
    ("Ask before a dearer model is released", "sales-assistant", "eva@example.com", date(2026, 12, 4)),
)


def decide(store: Store) -> None:
    """Older cases have their causes, one of the week is settled, one taken in hand; one action is done, one overdue."""
    found = cases(store.events())
    for case in found:
        if case.announced_at < WEEK - timedelta(weeks=2):
            store.announce([resolved_event(case, "ana", "in the notes of that week", MEETING)])
    fresh = sorted((case for case in found if case.announced_at >= WEEK), key=lambda case: -case.episode.impact_nanos)
    store.announce([resolved_event(fresh[0], "eva", "the release asked for gpt-5-pro; taken back on Thursday", MEETING)])
    store.announce([acknowledged_event(case, "dan", "", MEETING) for case in fresh[1:2]])
    for title, feature, owner, due in ACTIONS:
        said = opening(
            title, read_actions(store), app=APP, owner=owner, size=Size.SMALL, deadline=due, check_on=None, by=owner,
            at=MEETING - timedelta(weeks=3), feature=feature,
        )  # fmt: skip
        store.announce([said])
    done = next(one for one in read_actions(store) if one.feature == "support-chat")
    store.announce([finishing(done, by="ana", at=MEETING, shipped_at=WEEK - timedelta(days=4), credit="ana@example.com")])


def screenshot(page: Path, picture: Path) -> None:
    """The page in a browser, if there is one."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        sys.exit("no Chromium here: docs/finops/weekly.png stays as it is")
    flags = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--window-size=1100,1900"]
    subprocess.run([browser, *flags, f"--screenshot={picture}", page.as_uri()], check=True, capture_output=True)


def main() -> None:
    """Both pictures."""
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/shop.db"
        run_weeks(wanted_of(16, "2026-11-22", 1, 1.0, MEETING, has_incidents=True), url, None)
        policy, store = load_policy(Path(folder) / "shop.toml"), open_store(url)
        decide(store)
        page = weekly_page(read_week(store, policy, None, "2026-11-16"))
        store.close()
        console = Console(record=True, width=100, highlight=False, emoji=False, file=StringIO())
        print_page(console, page)
        (HERE / "weekly.svg").write_text(console.export_svg(title="runguard review weekly", unique_id="weekly"))
        (Path(folder) / "weekly.html").write_text(html(page))
        screenshot(Path(folder) / "weekly.html", HERE / "weekly.png")


if __name__ == "__main__":
    main()
