"""Put first on PYTHONPATH by `runguard run`: guards an unchanged program from its first line.

Python imports the first `sitecustomize` it finds; the one that would have been found without us is imported after. A Python
without RunGuard (a tool's, the system's) that a guarded program starts runs on unguarded, and the bill says so; as the program
itself it is not run.
"""

import contextlib
import importlib.machinery
import importlib.util
import json
import os
import sys

_HERE = os.path.dirname(os.path.abspath(__file__))  # noqa: PTH100, PTH120  nothing but os and sys is imported yet


def _next_sitecustomize() -> None:
    """Import the sitecustomize that we stand in front of."""
    rest = [entry for entry in sys.path if os.path.abspath(entry or ".") != _HERE]  # noqa: PTH100
    spec = importlib.machinery.PathFinder.find_spec("sitecustomize", rest)
    if spec is not None and spec.loader is not None:
        module = importlib.util.module_from_spec(spec)
        sys.modules["sitecustomize"] = module
        spec.loader.exec_module(module)


_next_sitecustomize()
if os.environ.get("RUNGUARD_RUN_REPORT"):
    try:
        from runguard_core.cli._guarding import guard_this_process

        guard_this_process()
    except Exception as error:  # noqa: BLE001  a guard that cannot start must say so
        reason = f"{sys.executable}: {error}"
        with contextlib.suppress(Exception):
            with open(os.environ["RUNGUARD_RUN_REPORT"], "a", encoding="utf-8") as file:  # noqa: PTH123
                file.write(json.dumps({"unguarded": reason}) + "\n")
            sys.stderr.write(f"runguard: could not guard this process: {reason}\n")
        if getattr(error, "name", None) != "runguard_core" or not os.environ.get("RUNGUARD_RUN_INSIDE"):
            os._exit(3)
