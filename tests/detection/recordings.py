"""The sessions written by hand, and the program that spells them out."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parents[2] / "cassettes" / "sessions"
FILES = ("loops", "healthy", "scenarios")
Run = dict[str, Any]


def runs_of(name: str) -> list[Run]:
    """The runs of one file."""
    return [json.loads(line) for line in (FOLDER / f"{name}.jsonl").read_text("utf-8").splitlines()]


ALL: list[Run] = [run for name in FILES for run in runs_of(name)]


def spelled_out() -> dict[str, str]:
    """What `source/write.py` would write now, by file name."""
    sys.path.insert(0, str(FOLDER / "source"))
    try:
        files: dict[str, str] = importlib.import_module("write").files()
    finally:
        sys.path.pop(0)
    return files
