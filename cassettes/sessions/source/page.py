"""The table of all shapes, as it stands in README.md."""

from __future__ import annotations

from typing import Any

HEAD = """\
# Sessions written by hand

Sessions of agents in the format that `runguard replay` reads, each with the judgement of somebody careful who pays the bill.
They are written in `source/` (a shape is a function) and spelled out into `*.jsonl` by `python cassettes/sessions/source/write.py`,
which also writes this page; digests, sizes, tokens (four characters each) and time stamps follow from the texts. Nothing in them was
recorded anywhere. `tests/detection` checks the files and judges the detectors by them.

One run a line: `{run_id, session?, labels, outcome, events}`; runs with the same `session` follow each other within it. Beyond the usual
fields, `instance` tells agents of one name apart; a tool call that raised has `error` (a text) and no `result`, one whose end nobody
reported has neither; a model call that the provider refused has `error` (its HTTP status) and belongs to the same `step` (turn) as the
attempt after it; `parts` says what a prompt was made of: `[{origin, chars, message_count}]`. Texts of more than 1,500 characters are
clipped to 240.

`labels`:

| key | meaning |
|---|---|
| `expect` | `stop`: a call must be refused; `warn`: there must be a warning; `pass`: nothing must be refused |
| `rules` | which rules may say so (for a stop and for a warning alike) |
| `by_index` | the last event at which it must have been said: for a stop the first event refused |
| `not_before` | a stop before this event is premature; null in a run with `warn`: every stop is wrong |
| `warn_ok` | in a run with `pass`: a warning is tolerable (without it, it is wrong too) |
| `scenario` | number of the failure scenario (1 to 48) of the published guides per framework |
| `policy` | the `runguard.toml` of the run, where the default is not meant |
| `why` | the reason |

Where a stop is asked for, the first two occurrences are never its place: once is a retry, twice a stubborn one. Where rules judge
model calls (handing over, growth, truncation), the first right place is the model call of that turn, else its tool call. An answer that is
empty or equal but comes to *unlike* questions is only warned of, since the same pattern is a batch of deletions, of letters or of checks that
all went well; to *reworded* questions it is a loop. Two timeouts and a success are a good run, so equal failures need patience.

## Scenarios that are not here

| number | scenario | why not |
|---|---|---|
| 13 | a latency router herds traffic to one provider | between requests of many runs; one run shows nothing of it but waiting |
| 14 | streams without usage bypass a budget | a matter of metering, not of tools or turns: see the settling tests |
| 15 | a model alias routes back into the same proxy | calls within one call, not a sequence of turns: see the proxy's tests |
| 22 | threads that grow for months, failed runs sent again | across runs of one session: budgets and anomalies |
| 47 | check-then-spend race of parallel calls | a matter of admission: see the store contract and `benchmarks/concurrency.py` |

Of scenarios with several parts, those that show in tools or turns are here: of 23 and 24, for example, not the price of audio or of `n` answers;
of 39 the agent that never finishes, not the optimiser, which is a batch job under a budget.
"""
TITLES = {"loops": "Loops", "healthy": "Healthy, though they look like loops", "scenarios": "The failure scenarios, by number"}


def written(runs: dict[str, list[dict[str, Any]]]) -> str:
    """The page for these runs, by file."""
    tables = [f"\n## {TITLES[name]} (`{name}.jsonl`, {len(found)} runs)\n\n{_table(found)}" for name, found in runs.items()]
    return HEAD + "".join(tables)


def _table(runs: list[dict[str, Any]]) -> str:
    rows = ["| run | events | expected | why |", "|---|---|---|---|"]
    for run in runs:
        rows.append(f"| {run['run_id']} | {len(run['events'])} | {_expected(run['labels'])} | {run['labels']['why']} |")
    return "\n".join(rows) + "\n"


def _expected(labels: dict[str, Any]) -> str:
    policy = " (own policy)" if "policy" in labels else ""
    if labels["expect"] == "pass":
        return ("pass, a warning is tolerable" if labels.get("warn_ok") else "pass") + policy
    rules = ", ".join(labels["rules"])
    if labels["expect"] == "stop":
        return f"stop at {labels['not_before']} to {labels['by_index']}: {rules}{policy}"
    stop = "no stop" if labels["not_before"] is None else f"a stop from {labels['not_before']} on is fine"
    return f"warn by {labels['by_index']}, {stop}: {rules}{policy}"
