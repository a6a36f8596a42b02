"""Runs the commands shown in the pages and puts what they print below them: `python docs/generate_outputs.py`.

A block that begins with "$ runguard ..." is run in the project's folder, with 100 columns and no colour; what stood below is
replaced. Pages without such blocks stay as they are.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
_BLOCK = re.compile(r"```text\n(\$ runguard [^\n]*\n)(.*?)```", re.DOTALL)
_ENVIRONMENT = {"COLUMNS": "100", "NO_COLOR": "1", "TERM": "dumb"}
#: Longer outputs are cut in the page.
_MOST_LINES = 40


def output_of(line: str) -> str:
    """What a command prints; errors too."""
    command, pipe, rest = line.removeprefix("$ runguard ").strip().partition(" | ")
    arguments = [sys.executable, "-m", "runguard_core.cli", *shlex.split(command)]
    done = subprocess.run(arguments, cwd=ROOT, env=os.environ | _ENVIRONMENT, capture_output=True, text=True, check=False)
    text = done.stdout or done.stderr
    if pipe:  # "head -2" is all that pages need
        text = "\n".join(text.splitlines()[: int(rest.removeprefix("head -"))])
    lines = [line.rstrip() for line in text.splitlines()]
    return "\n".join([*lines[:_MOST_LINES], *(["..."] if len(lines) > _MOST_LINES else [])]).strip("\n") + "\n"


def main() -> None:
    """Every page."""
    for page in sorted(ROOT.glob("docs/**/*.md")):
        before = page.read_text("utf-8")
        after = _BLOCK.sub(lambda found: f"```text\n{found[1]}{output_of(found[1])}```", before)
        if after != before:
            page.write_text(after, encoding="utf-8")
            print(page.relative_to(ROOT))


if __name__ == "__main__":
    main()
