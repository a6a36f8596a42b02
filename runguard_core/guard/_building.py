"""From a constructor's keywords to `Rules`, a store, a key and a kill file."""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, tzinfo
from enum import StrEnum
from hashlib import blake2b
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from runguard_core.attribution import Attribution, clean
from runguard_core.budgets import Budget, Limit, Mode
from runguard_core.clock import Clock
from runguard_core.detectors import Fingerprint
from runguard_core.errors import InvalidAmountError, PolicyError, PriceDataError, StoreError
from runguard_core.guard._dispatcher import Listener
from runguard_core.guard._engine import Engine
from runguard_core.guard._policy_seen import note_policy
from runguard_core.guard._rules import OnStoreError, QuoteMode, Rules, Unpriced
from runguard_core.ledger import Store, Unit
from runguard_core.money import usd_to_nanos
from runguard_core.prices import read_price_list, use_price_list
from runguard_core.stores import open_default, open_store, state_directory

_log = logging.getLogger("runguard")
_KEY_BYTES = 32
_ATTRIBUTION = ("feature", "team", "owner", "agent", "user", "release")
#: How each setting is read; settings that are not here are passed on as they are.
_READERS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "quote": ("quote", lambda value: choice(QuoteMode, value, "quote")),
    "unpriced": ("unpriced", lambda value: choice(Unpriced, value, "unpriced")),
    "on_store_error": ("on_store_error", lambda value: choice(OnStoreError, value, "on_store_error")),
    "timezone": ("zone", lambda value: zone_of(value)),  # noqa: PLW0108  defined below
    "tool_prices_usd": (
        "tool_prices_nanos",
        lambda value: {k: nanos_of(v, f"tools.{k}.price_usd") for k, v in value.items()},
    ),
    "degraded_limit_usd": ("degraded_limit_nanos", lambda value: nanos_of(value, "degraded_limit_usd")),
    "agent_modes": ("agent_modes", lambda value: modes_of(value, "agents")),
    "detector_modes": ("detector_modes", lambda value: modes_of(value, "detectors")),
}
_PLAIN = frozenset({
    "prices", "advise", "detectors", "turn_detectors", "tool_rules", "agent_owners", "require", "hold_seconds", "cap_output",
    "assumed_rates", "anomalies", "hash_users", "policy_hash", "policy_file", "policy_keys", "attribution", "owners", "runbooks",
})  # fmt: skip


def rules_of(
    app: str, budgets: Iterable[Budget], *, mode: str | Mode, session_usd: object, daily_usd: object, **settings: Any
) -> Rules:
    """Rules from a constructor's keywords.

    Raises:
        PolicyError: an unknown setting, or a value that cannot be one.
    """
    unknown = settings.keys() - _READERS.keys() - _PLAIN - set(_ATTRIBUTION)
    if unknown:
        known = ", ".join(sorted(_READERS.keys() | _PLAIN | set(_ATTRIBUTION)))
        raise PolicyError(key=min(unknown), expected=f"unknown setting; known: {known}")
    who = {key: settings.pop(key) for key in _ATTRIBUTION if key in settings}
    values = {}
    for key, value in settings.items():
        name, read = _READERS.get(key, (key, lambda found: found))
        values[name] = read(value)
    if not isinstance(app, str) or not app.strip():
        raise PolicyError(key="app", expected=f"expected the program's name, got {app!r:.80}")
    app = clean(app)
    defaults = Attribution(app=app, feature=app).with_values(**who)
    found = (*budgets, *_short_budgets(session_usd, daily_usd))
    return Rules(defaults=defaults, budgets=found, mode=choice(Mode, mode, "mode"), **values)


def _short_budgets(session_usd: object, daily_usd: object) -> list[Budget]:
    found = []
    if session_usd is not None:
        found.append(_short(session_usd, "max_cost_per_session_usd", name="session", per=["session"]))
    if daily_usd is not None:
        found.append(_short(daily_usd, "daily_budget_usd", name="day", period="day"))
    return found


def _short(value: object, key: str, **more: Any) -> Budget:
    return Budget(Limit(nanos_of(value, key), Unit.USD), **more)


def nanos_of(value: object, key: str) -> int:
    """USD as nano-USD; PolicyError names the key."""
    try:
        return usd_to_nanos(value)
    except InvalidAmountError:
        raise PolicyError(key=key, expected=f'expected USD such as "0.50", got {value!r:.80}') from None


def choice(kind: type[StrEnum], value: object, key: str) -> Any:
    """A member of an enumeration; PolicyError lists the choices."""
    try:
        return kind(value)  # type: ignore[arg-type]  # anything may come from a policy; the error says what belongs
    except ValueError:
        choices = ", ".join(member.value for member in kind)
        raise PolicyError(key=key, expected=f"expected one of {choices}, got {value!r:.80}") from None


def modes_of(value: Mapping[str, object], key: str) -> dict[str, Mode]:
    """Modes by name."""
    return {name: choice(Mode, mode, f"{key}.{name}.mode") for name, mode in value.items()}


def zone_of(value: str | tzinfo) -> tzinfo:
    """A time zone by name."""
    if isinstance(value, tzinfo):
        return value
    if value == "UTC":
        return UTC
    try:
        return ZoneInfo(value)
    except (KeyError, ValueError, OSError):
        raise PolicyError(key="timezone", expected=f'expected a name such as "Europe/Zurich", got {value!r:.80}') from None


def open_store_for(app: str, store: str | Store | None) -> Store:
    """The store that was asked for; None opens the app's own file."""
    if store is None:
        store = os.environ.get("RUNGUARD_STORE") or None
    if store is None:
        return open_default(app)
    return open_store(store) if isinstance(store, str) else store


def secret_of(url: str) -> bytes:
    """The key of all digests: a file (made on first use, mode 0600) beside a file ledger, and in this host's state directory for
    one that is elsewhere; chance for memory.
    """
    try:
        path = _beside(url)
        return secrets.token_bytes(_KEY_BYTES) if path is None else _read(path) or _make(path)
    except (OSError, StoreError):
        return secrets.token_bytes(_KEY_BYTES)


def _beside(url: str) -> Path | None:
    if url.startswith("sqlite:///"):
        return Path(url.removeprefix("sqlite:///") + ".key")
    if url.startswith("memory:"):
        return None
    folder = state_directory() / "keys"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    return folder / f"{blake2b(url.encode(), digest_size=8).hexdigest()}.key"


def _read(path: Path) -> bytes | None:
    """The key in the file; None where there is none, or what was left by a process that died while it wrote."""
    try:
        return bytes.fromhex(path.read_text("ascii").strip()) or None
    except (FileNotFoundError, ValueError):
        return None


def _make(path: Path) -> bytes:
    """A new key, whole from the first moment it is seen; of several processes the first wins, and all read what is there."""
    descriptor, made = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_hex(_KEY_BYTES))
        with contextlib.suppress(OSError):  # somebody was first, or the disk knows no links
            os.link(made, path)  # unlike a rename it replaces nothing
        found = _read(path)
        if found is None:
            os.replace(made, path)  # noqa: PTH105  whole or not at all
            found = _read(path)
    finally:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(made)  # noqa: PTH108  a name, no Path
    return found or secrets.token_bytes(_KEY_BYTES)


def price_file() -> Path:
    """Where a refreshed price list is kept."""
    return state_directory() / "prices.json"


def load_refreshed_prices() -> None:
    """Use the list that `runguard prices --refresh` left, if there is one; a damaged one is said and passed over."""
    try:
        path = price_file()
        if path.is_file():
            use_price_list(read_price_list(path.read_bytes(), file=str(path)))
    except StoreError:
        return  # no home: nothing was ever kept
    except (OSError, PriceDataError) as error:
        _log.warning("RunGuard prices by the list it was installed with: %s", error)


def kill_file_of(app: str) -> Path | None:
    """The file whose existence stops the app: RUNGUARD_KILL_FILE, or `APP.kill` in the state directory."""
    named = os.environ.get("RUNGUARD_KILL_FILE")
    if named:
        return Path(named)
    try:
        return state_directory() / f"{file_name(app)}.kill"
    except (OSError, StoreError):
        return None


def file_name(app: str) -> str:
    """An app's name as a file's."""
    from runguard_core.stores import default_path  # noqa: PLC0415

    return default_path(app).stem


def engine_of(rules: Rules, store: str | Store | None, clock: Clock, listeners: Sequence[Listener]) -> Engine:
    """The parts of a guard, put together around an opened ledger."""
    load_refreshed_prices()
    opened = open_store_for(rules.defaults.app, store)
    key = Fingerprint(secret_of(opened.url))
    kill_file = kill_file_of(rules.defaults.app)
    engine = Engine(rules, opened, clock=clock, listeners=listeners, fingerprint=key, kill_file=kill_file)
    if rules.policy_file:
        engine.dispatcher.defer(lambda: note_policy(engine))
    return engine
