"""Workers that race one cap, for `kill.py`: a process of its own each, that may be killed at any instant."""

from __future__ import annotations

import mmap
import os
import random
import struct
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

from runguard_core.attribution import Attribution
from runguard_core.calls import Certainty, ModelCall, Outcome, PromptPart
from runguard_core.ids import new_id
from runguard_core.ledger import Account, CallDraft, Hold, Refusal, SettlementDraft, Unit
from runguard_core.stores import open_store
from runguard_core.usage import Usage

CAP = Account("cap", Unit.USD, "the cap")
HOLD_TIME = timedelta(minutes=10)
#: A worker gives up when this many calls in a row are refused.
_REFUSALS = 30
_TRUTH = struct.Struct("<qqq")


def truth_of(path: Path) -> tuple[int, int, int]:
    """What a worker has really spent (nano-USD), and how many calls it has sent and had refused."""
    return _TRUTH.unpack(path.read_bytes()[: _TRUTH.size])  # type: ignore[return-value]


def race(url: str, truth: str, limit: int, number: int) -> None:
    """Reserve, note that the call is sent and what it costs, post; until the cap refuses. One call in twenty is voided."""
    chance = random.Random(number)
    store = open_store(url)
    with Path(truth).open("r+b") as file:
        noted = mmap.mmap(file.fileno(), mmap.PAGESIZE)
    own = Account(f"worker-{number}", Unit.USD, f"worker {number}")
    who, spent, sent, refused, in_a_row = Attribution(app="race", run=str(number)), 0, 0, 0, 0
    call = ModelCall(model="m", provider="p", parts=(PromptPart("user", 400),))
    while in_a_row < _REFUSALS:
        now = datetime.now(UTC)
        quote = chance.randrange(5_000_000, 30_000_000)
        draft = CallDraft(new_id(), call, who, 1, 1, now, quote, quote_is_bound=True)
        holds = (Hold(CAP, quote, limit, limit), Hold(own, quote, limit, limit))
        if isinstance(store.reserve(draft, holds, expires_at=now + HOLD_TIME, owner=str(os.getpid())), Refusal):
            refused, in_a_row = refused + 1, in_a_row + 1
            noted[: _TRUTH.size] = _TRUTH.pack(spent, sent, refused)
            continue
        in_a_row = 0
        if chance.random() < 0.05:
            store.void(draft.id, SettlementDraft(now, Outcome(billed=False), {}, 0, Certainty.EXACT, None, 0.0))
            continue
        actual = quote - chance.randrange(0, quote // 4)
        spent, sent = spent + actual, sent + 1
        noted[: _TRUTH.size] = _TRUTH.pack(spent, sent, refused)  # from here on the provider bills it
        usage = Usage(input_tokens=100, output_tokens=actual // 1000)
        outcome = Outcome(usage=usage)
        amounts = {CAP.key: actual, own.key: actual}
        store.post(draft.id, SettlementDraft(now, outcome, amounts, actual, Certainty.EXACT, usage, 0.1))
    store.close()


if __name__ == "__main__":
    race(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
