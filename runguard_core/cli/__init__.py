"""The command line: `runguard`."""

from runguard_core.cli._main import main

__all__ = ["main"]
