"""What one file of a policy may say, and what it may say over another one."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from runguard_core.budgets import parse_limit
from runguard_core.errors import PolicyError
from runguard_core.policy._following import is_tighter

#: The looser a mode, the lower.
_STRICTNESS = {"off": 0, "observe": 1, "enforce": 2}


def check_layer(found: dict[str, Any], file: str) -> None:
    """One file by itself: environments are tables, and no two of its budgets share a name (files merge them by it).

    Raises:
        PolicyError: naming file and key.
    """
    environments = found.get("env", {})
    if not isinstance(environments, dict):
        raise PolicyError(file=file, key="env", expected="expected tables such as [env.prod]")
    for name, table in environments.items():
        if not isinstance(table, dict):
            raise PolicyError(file=file, key=f"env.{name}", expected=f"expected a table, got {table!r:.80}")
        if "extends" in table:
            raise PolicyError(file=file, key=f"env.{name}.extends", expected="extends stands at the top of a file only")
    for where, table in _tables(found):
        _check_names(table.get("budgets"), f"{where}budgets", file)


def _tables(found: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """The file's own keys and those of each environment, with what stands before their names."""
    yield "", found
    for name, table in found.get("env", {}).items():
        yield f"env.{name}.", table


def _check_names(budgets: Any, key: str, file: str) -> None:
    seen = set[str]()
    for index, budget in enumerate(budgets if isinstance(budgets, list) else ()):
        name = budget_name(budget, index)
        if name in seen:
            raise PolicyError(file=file, key=f"{key}.{index}.name", expected=f"another budget is called {name!r} already")
        seen.add(name)


def budget_name(budget: Any, index: int) -> str:
    """By what budgets are merged; those without a name stay apart."""
    return str(budget.get("name", f"#{index}")) if isinstance(budget, dict) else f"#{index}"


def check_locked(old: dict[str, Any], new: dict[str, Any], name: str, file: str) -> None:
    """A locked budget's limit may be lowered, in its own unit, and nothing else changed.

    Raises:
        PolicyError: it would be loosened.
    """
    key = f"budgets.{name}"
    changed = sorted(key for key in new if key not in {"limit", "name", "thresholds"} and new[key] != old.get(key))
    if changed:
        raise PolicyError(file=file, key=f"{key}.{changed[0]}", expected="the budget is locked: only its limit may be lowered")
    if "limit" not in new or "limit" not in old:
        return
    tighter = is_tighter(old["limit"], new["limit"])
    if tighter is not None:
        if not tighter:
            wanted = f"the budget is locked at {old['limit']}: lower it only, following the same"
            raise PolicyError(file=file, key=f"{key}.limit", expected=wanted)
        return
    asked, locked = parse_limit(new["limit"], key=f"{key}.limit"), parse_limit(old["limit"], key=f"{key}.limit")
    if asked.unit is not locked.unit or asked.amount > locked.amount:
        raise PolicyError(file=file, key=f"{key}.limit", expected=f"the budget is locked at {old['limit']}: lower it only")


def check_modes(base: dict[str, Any], top: dict[str, Any], file: str) -> None:
    """Over a file with locked budgets no mode may be looser: an agent that is off meets no budget at all.

    Raises:
        PolicyError: naming the mode.
    """
    budgets = base.get("budgets")
    locked = [b for b in budgets if isinstance(b, dict) and b.get("locked")] if isinstance(budgets, list) else []
    if not locked:
        return
    least = _strictness(base.get("mode", "enforce"))
    for key, mode in _modes(top):
        if _strictness(mode) < least:
            why = f"the budget {budget_name(locked[0], 0)!r} is locked: nothing over it may be less strict"
            raise PolicyError(file=file, key=key, expected=why)


def _strictness(mode: object) -> int:
    """What is no mode is another check's business."""
    return _STRICTNESS.get(mode, 2) if isinstance(mode, str) else 2


def _modes(top: dict[str, Any]) -> Iterator[tuple[str, object]]:
    for where, table in _tables(top):
        if "mode" in table:
            yield f"{where}mode", table["mode"]
        agents = table.get("agents")
        for name, agent in agents.items() if isinstance(agents, dict) else ():
            if isinstance(agent, dict) and "mode" in agent:
                yield f"{where}agents.{name}.mode", agent["mode"]
