"""A limit that means something: an incident leaves the ledger without its content, and a policy is tried on it."""

import json
import tempfile
from pathlib import Path

from runguard_core import CallFilter, EventFilter, Guard, ToolCall, Usage, load_policy
from runguard_core.replay import incident_json, parse_run, play, recordings_of

folder = Path(tempfile.mkdtemp())
guard = Guard(app="example-replay", store=f"sqlite:///{folder}/ledger.db", mode="observe")  # nothing is stopped yet


def turn(question: str, result: str) -> None:
    """A stand-in for one round of an agent: a model call, and the tool call it asks for."""
    with guard.model_call("gpt-4o", prompt=question) as call:
        call.post(Usage(input_tokens=4000, output_tokens=200), tool_names=("search",))
    guard.reserve(ToolCall(name="search", arguments={"q": question})).post(result=result)


# 1. What happened: a night's run that asks the same again and again.
with guard.session("s-42", user="ann@example.com"):
    turn("What do refunds cost us?", "refunds.csv: 1,204 rows")
    for _ in range(30):
        turn("refund policy", "no such page")

# 2. The run leaves the ledger as digests, sizes and costs (on the command line: runguard incident s-42 -o incident.jsonl).
[recording] = recordings_of(guard.store.calls(CallFilter(session="s-42")), guard.store.events(EventFilter(session="s-42")))
file = folder / "incident.jsonl"
file.write_text(json.dumps(incident_json(recording, guard.store.events(EventFilter(session="s-42")), guard.fingerprint)))
assert not any(secret in file.read_text() for secret in ("refund", "ann@example.com", "s-42"))
guard.close()

# 3. Policies are tried on it (runguard replay incident.jsonl --policy ...); a test can hold it: see docs/replay.md.
policies = {
    "the defaults": "",
    "patient with loops": "[detectors.repeat]\nstop_after = 6",
    "a budget only": '[detectors]\nrepeat.mode = "off"\n[[budgets]]\nname = "run"\nlimit = "0.10 USD"\nper = ["run"]',
}
for name, text in policies.items():
    (folder / "runguard.toml").write_text(text)
    [played] = play([parse_run(json.loads(file.read_text()), str(file))], load_policy(folder / "runguard.toml").rules)
    saved = f"{played.saved.nanos / 10**9:.2f} of {played.total_nanos / 10**9:.2f} USD"
    print(
        f"{name:20}", f"stopped at event {played.stop.index:2} by {played.stop.rule}, {saved} saved" if played.stop else "passes"
    )
    assert played.stop is not None
