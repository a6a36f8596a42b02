"""Put first on PYTHONPATH by `runguard run`: guards an unchanged program from its first line.

Python imports the first `sitecustomize` it finds; the one that would have been found without us is imported after.
"""

import contextlib
import importlib.machinery
import importlib.util
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
    except Exception as error:  # noqa: BLE001  a guard that cannot start must say so, and the policy decides
        with contextlib.suppress(Exception):
            sys.stderr.write(f"runguard: could not guard this process: {error}\n")
        os._exit(3)
