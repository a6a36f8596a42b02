"""Writes the recordings beside this folder: `python cassettes/sessions/source/write.py` (again after any change of a shape)."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import healthy_reading
import healthy_turns
import healthy_working
import loops_agents
import loops_calls
import loops_results
import loops_turns
import scenarios_1
import scenarios_2
import scenarios_3
from page import written
from recorder import Labelled, recording

FILES: dict[str, list[Labelled]] = {
    "loops": [*loops_calls.family.shapes, *loops_results.family.shapes, *loops_agents.family.shapes, *loops_turns.family.shapes],
    "healthy": [*healthy_reading.family.shapes, *healthy_working.family.shapes, *healthy_turns.family.shapes],
    "scenarios": [*scenarios_1.family.shapes, *scenarios_2.family.shapes, *scenarios_3.family.shapes],
}


def runs(name: str) -> list[dict[str, Any]]:
    """The runs of one file."""
    return [recording(shape, day) for day, shape in enumerate(FILES[name])]


def files() -> dict[str, str]:
    """What is written, by name."""
    found = {name: runs(name) for name in FILES}
    spelled = {f"{name}.jsonl": "".join(json.dumps(run, ensure_ascii=False) + "\n" for run in lines) for name, lines in found.items()}
    return {**spelled, "README.md": written(found)}


def main() -> None:
    """Write all files beside this folder."""
    for name, text in files().items():
        (Path(__file__).parents[1] / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
