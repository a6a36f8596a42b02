"""The official FOCUS validator over a demo ledger's bill: `python -m tests.export.focus_validator VENV`, or `make focus`.

VENV is an environment with the validator (Python 3.12 or newer; it cannot share ours). It always exits with 0 and opens a file of
its own by a relative path, so it is started in its site-packages and its report is read.
"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

from runguard_core.export import export_focus
from tests.export.ledgers import MONTH, pricing, traffic_ledger

#: What a ledger of tokens can say; see docs/finops/export.md.
CRITERIA = (
    "ACCOUNT_NAMING_SUPPORTED", "NEGOTIATED_PRICING_SUPPORTED", "PUBLIC_PRICE_LIST_SUPPORTED", "SUB_ACCOUNT_SUPPORTED",
    "TAGGING_SUPPORTED", "UNIT_PRICING_SUPPORTED", "USAGE_MEASUREMENT_SUPPORTED",
)  # fmt: skip
#: Failures that are explained in docs/finops/export.md, and why.
EXPLAINED = {
    "InvoiceId-C-005-C": "the rules ask every row to have no InvoiceId (C-004) and to have one (C-005); these charges have no invoice"
}
_TOTAL = re.compile(r"^Total: (\d+) \| Pass: (\d+) \| Fail: (\d+)", re.MULTILINE)
_FAILED = re.compile(r"^\S+ (\S+): FAIL", re.MULTILINE)


def unexplained(report: str) -> list[str]:
    """What is wrong with a report of the validator: nothing where each failure is explained."""
    total = _TOTAL.search(report)
    if total is None or not int(total[2]):
        return [f"the validator gave no report: {report[-2000:]}"]
    failed = _FAILED.findall(report)
    found = [f"{rule} fails" for rule in failed if rule not in EXPLAINED]
    if len(failed) != int(total[3]):
        found.append(f"{total[3]} rules fail and {len(failed)} are named")
    return found


def validated(venv: Path, bill: Path) -> str:
    """The validator's report on a file."""
    place = next((venv / "lib").glob("python3*/site-packages"))
    command = [
        str(venv / "bin" / "focus-validator"), "--data-file", str(bill), "--validate-version", "1.2", "--block-download",
        "--applicability-criteria", ",".join(CRITERIA), "--show-violations",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr


def main(venv: Path) -> int:
    """Write bills of a demo ledger, validate them, say how it went; 1 where a failure is not explained."""
    wrong: list[str] = []
    with tempfile.TemporaryDirectory() as folder:
        store = traffic_ledger(Path(folder) / "demo.db", days=14)
        for end in ("csv", "parquet"):
            found = export_focus(store, Path(folder) / f"focus.{end}", MONTH, pricing(Path(folder)), by=("agent",))
            report = validated(venv, found.path)
            total = _TOTAL.search(report)
            print(f"focus.{end}: {found.row_count} rows; {total[0] if total else 'no report'}")
            wrong += [f"focus.{end}: {text}" for text in unexplained(report)]
        store.close()
    for rule, why in EXPLAINED.items():
        print(f"explained: {rule}: {why}")
    for text in wrong:
        print(text)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute()))
