"""`runguard doctor`: does RunGuard stop and meter what is installed here? Each framework is driven in a process of its own."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.table import Table

from runguard_core.cli._app import Exit, JsonOption, app, err, fail, out, show
from runguard_core.cli._text import shown

_CHECKS = Path(__file__).with_name("_checks")
_SECONDS = 180


@dataclass(frozen=True)
class Framework:
    """What is looked at.

    Attributes:
        adapter: the entry point's name, also of the check; extra: what installs it.
        needs: modules without which it cannot be driven, one of each tuple; packages: whose versions are shown.
    """

    adapter: str
    extra: str
    needs: tuple[tuple[str, ...], ...]
    packages: tuple[str, ...]


FRAMEWORKS = (
    Framework("langchain", "langchain", (("langchain",), ("langchain_openai",)),
              ("langchain-core", "langchain", "langgraph", "langchain-openai", "langchain-anthropic")),
    Framework("litellm", "litellm", (("litellm",),), ("litellm", "openai")),
    Framework("llama_index", "llama-index", (("llama_index.core",), ("llama_index.llms.openai", "llama_index.llms.litellm")),
              ("llama-index-core", "llama-index-workflows", "llama-index-instrumentation")),
)  # fmt: skip
#: Releases to keep away from: package, versions (exact, or below a version), what is wrong, what to do.
KNOWN_BAD = (
    (
        "litellm",
        "1.82.7",
        "a malicious upload that stole credentials",
        "remove it, change every key it could read, install another",
    ),
    (
        "litellm",
        "1.82.8",
        "a malicious upload that stole credentials",
        "remove it, change every key it could read, install another",
    ),
    ("llama-index-workflows", "<2.14", "agents hang for ever on some exceptions", "pip install 'llama-index-workflows>=2.14'"),
)


@dataclass
class Finding:
    """What was found of one framework."""

    framework: str
    versions: dict[str, str] = field(default_factory=dict)
    kinds: list[dict[str, Any]] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    missing: str | None = None


def _is_here(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def _number(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".") if part.isdigit())


def _is_bad(found: str, which: str) -> bool:
    return _number(found) < _number(which[1:]) if which.startswith("<") else found == which


def _versions(packages: tuple[str, ...]) -> dict[str, str]:
    found = {}
    for package in packages:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def examine(framework: Framework) -> Finding:
    """Drive one framework; what it prints besides its findings is shown only where it fails."""
    finding = Finding(framework.adapter, _versions(framework.packages))
    lacking = [" or ".join(either) for either in framework.needs if not any(_is_here(module) for module in either)]
    if lacking:
        finding.missing = f"not here ({', '.join(lacking)}): pip install 'runguard-core[{framework.extra}]'"
        return finding
    for package, which, wrong, advice in KNOWN_BAD:
        if package in finding.versions and _is_bad(finding.versions[package], which):
            finding.problems.append(f"{package} {finding.versions[package]}: {wrong}; {advice}")
    if any("malicious" in problem for problem in finding.problems):
        return finding  # it must not be imported
    command = [sys.executable, str(_CHECKS / f"check_{framework.adapter}.py")]
    try:
        done = subprocess.run(  # noqa: S603  our own program
            command, capture_output=True, text=True, timeout=_SECONDS, check=False
        )
        said, trouble = done.stdout, done.stderr.strip().splitlines() if done.returncode else []
    except subprocess.TimeoutExpired as error:
        said = error.stdout.decode() if isinstance(error.stdout, bytes) else error.stdout or ""
        trouble = [f"it hung: no answer within {_SECONDS} seconds"]
    lines = [json.loads(line) for line in said.splitlines() if line.startswith("{")]
    finding.kinds = [line for line in lines if "kind" in line]
    finding.problems += [
        f"{line['symbol']} is gone: this version stops or meters less well" for line in lines if "symbol" in line
    ]
    finding.problems += [f"{one['kind']}: {problem}" for one in finding.kinds for problem in problems_of(one)]
    if trouble:
        finding.problems.append(f"it could not be driven to the end: {trouble[-1]}")
    return finding


def problems_of(kind: dict[str, Any]) -> list[str]:
    """What is wrong with one kind of call."""
    if kind["error"]:
        return [f"the first call failed: {kind['error']}"]
    found = []
    if kind["leaked"]:
        found.append("the call over the cap was sent: keep to `guard.reserve` around it, and report this version")
    elif not kind["is_stopped"]:
        found.append("the call over the cap was not sent, but the stop did not reach the program")
    if kind["sent"] != kind["entries"]:
        found.append(f"{kind['sent']} requests made {kind['entries']} entries")
    if not kind["usage_is_read"]:
        found.append("usage was not read: it is estimated")
    return found


@app.command("doctor")
def doctor(
    framework: Annotated[list[str] | None, typer.Option("--framework", help="Only this one; may be repeated.")] = None,
    json_: JsonOption = False,
) -> None:
    """Check that RunGuard stops and meters the frameworks installed here, call kind by call kind.

    A fake model on this machine is called through the installed versions; nothing leaves the machine. Exit code 1 when a call
    over the cap would be sent, usage would not be read, or a version is known to be broken.
    """
    wanted = [one for one in FRAMEWORKS if not framework or one.adapter in framework]
    unknown = set(framework or ()) - {one.adapter for one in FRAMEWORKS}
    if unknown:
        raise fail(f"no framework {', '.join(sorted(unknown))}: expected {', '.join(f.adapter for f in FRAMEWORKS)}", Exit.USAGE)
    findings = []
    for one in wanted:
        with err.status(f"driving {one.adapter} ..."):
            findings.append(examine(one))
    is_well = not any(finding.problems for finding in findings)
    show(json_, {"ok": is_well, "frameworks": [asdict(finding) for finding in findings]}, lambda: _print(findings))
    raise typer.Exit(Exit.OK if is_well else Exit.FOUND_WRONG)


def _print(findings: list[Finding]) -> None:
    for finding in findings:
        out.rule(finding.framework, align="left")
        if finding.missing:
            out.print(f"[dim]{shown(finding.missing)}[/]", highlight=False)
            continue
        out.print("  ".join(f"{name} {number}" for name, number in finding.versions.items()), highlight=False)
        if finding.kinds:
            table = Table("call", "over the cap", "usage", box=None, pad_edge=False, padding=(0, 3, 0, 0))
            for kind in finding.kinds:
                held = "[green]not sent, stop arrives[/]" if kind["is_stopped"] and not kind["leaked"] else "[red]FAILS[/]"
                table.add_row(kind["kind"], held, "[green]exact[/]" if kind["usage_is_read"] else f"[red]{kind['certainty']}[/]")
            out.print(table)
        for problem in finding.problems:
            out.print(f"[bold red]![/] {shown(problem)}", highlight=False)
    if all(not finding.problems for finding in findings):
        out.print("[bold green]All is well.[/]")
