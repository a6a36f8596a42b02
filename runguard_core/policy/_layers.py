"""Files laid over each other: `extends`, `[env.NAME]`, RUNGUARD_* variables."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from runguard_core.errors import PolicyError
from runguard_core.policy._locks import budget_name, check_layer, check_locked, check_modes

#: Environment variables that override one key of the file.
OVERRIDES = {
    "RUNGUARD_APP": "app", "RUNGUARD_FEATURE": "feature", "RUNGUARD_TEAM": "team", "RUNGUARD_OWNER": "owner",
    "RUNGUARD_RELEASE": "release", "RUNGUARD_MODE": "mode", "RUNGUARD_STORE": "store", "RUNGUARD_TIMEZONE": "timezone",
    "RUNGUARD_QUOTE": "quote", "RUNGUARD_UNPRICED": "unpriced", "RUNGUARD_ON_STORE_ERROR": "on_store_error",
}  # fmt: skip
_DEFAULT_FILE = "runguard.toml"


def find_file(path: str | Path | None, environ: Mapping[str, str]) -> Path | None:
    """The policy file: the one named, RUNGUARD_POLICY, ./runguard.toml, or none.

    Raises:
        PolicyError: a named file is not there.
    """
    named = path or environ.get("RUNGUARD_POLICY")
    if named:
        found = Path(named)
        if not found.is_file():
            raise PolicyError(file=str(found), key="(file)", expected="no such policy file")
        return found
    return Path(_DEFAULT_FILE) if Path(_DEFAULT_FILE).is_file() else None


def read_layers(path: Path | None, environ: Mapping[str, str]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """The whole policy as one mapping, before it is checked, and the names of its environments.

    Raises:
        PolicyError: bad TOML, a file that is not there, a circle of `extends`, a locked budget that would be loosened.
    """
    found = _read(path, ()) if path is not None else {}
    environments = found.pop("env", {})
    chosen = environ.get("RUNGUARD_ENV")
    if chosen:
        if chosen not in environments:
            known = ", ".join(environments) or "none"
            raise PolicyError(file=str(path or ""), key=f"env.{chosen}", expected=f"no such environment; known: {known}")
        found = overlay(found, environments[chosen], str(path or ""))
    named = {key: environ[name] for name, key in OVERRIDES.items() if environ.get(name)}
    return found | named, tuple(environments)


def overriding(key: str, environ: Mapping[str, str]) -> str | None:
    """The environment variable that a key's value comes from; None for the file's own."""
    return next((name for name, overridden in OVERRIDES.items() if overridden == key and environ.get(name)), None)


def _read(path: Path, seen: tuple[Path, ...]) -> dict[str, Any]:
    here, found = _parsed(path)
    if here in seen:
        raise PolicyError(file=str(path), key="extends", expected="a file that does not extend itself")
    check_layer(found, str(path))
    base = found.pop("extends", None)
    if base is None:
        return found
    if not isinstance(base, str):
        raise PolicyError(file=str(path), key="extends", expected="the name of a file")
    below = _read(path.parent / base, (*seen, here))
    check_modes(below, found, str(path))
    return overlay(below, found, str(path))


def _parsed(path: Path) -> tuple[Path, dict[str, Any]]:
    """The file's own place and its content; a byte order mark, as some editors write one, is no mistake."""
    if "\0" in str(path):  # what Python says of it differs from version to version
        raise PolicyError(file=str(path), key="(file)", expected="cannot be read: its name holds a null byte")
    try:
        return path.resolve(), tomllib.loads(path.read_text("utf-8-sig"))
    except OSError as error:
        raise PolicyError(file=str(path), key="(file)", expected=f"cannot be read: {error.strerror}") from None
    except RuntimeError:  # a circle of links, or brackets without end
        raise PolicyError(
            file=str(path), key="(file)", expected="cannot be read: nested too deeply, or a circle of links"
        ) from None
    except ValueError as error:
        raise PolicyError(file=str(path), key="(file)", expected=f"not TOML: {error}") from None


def overlay(base: dict[str, Any], top: dict[str, Any], file: str) -> dict[str, Any]:
    """`top` over `base`: tables merge key by key, budgets by name, everything else is replaced."""
    merged = dict(base)
    for key, value in top.items():
        old = merged.get(key)
        if key == "budgets" and isinstance(old, list) and isinstance(value, list):
            merged[key] = _budgets(old, value, file)
        elif isinstance(old, dict) and isinstance(value, dict):
            merged[key] = overlay(old, value, file)
        else:
            merged[key] = value
    return merged


def _budgets(base: list[Any], top: list[Any], file: str) -> list[Any]:
    found = {budget_name(budget, i): budget for i, budget in enumerate(base)}
    for i, budget in enumerate(top):
        name = budget_name(budget, len(base) + i)
        old = found.get(name)
        if isinstance(old, dict) and isinstance(budget, dict):
            if old.get("locked"):
                check_locked(old, budget, name, file)
            budget = {**old, **budget}  # noqa: PLW2901  the merged budget is what counts
        found[name] = budget
    return list(found.values())
