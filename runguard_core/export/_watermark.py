"""What was exported, remembered beside it in `_runguard.json`: it goes where the files go, so it cannot lie about them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from runguard_core.errors import ExportError
from runguard_core.export._files import written
from runguard_core.export._sources import Mark

#: Readers of folders pass over names that begin with an underscore.
STATE_NAME, SCHEMA_NAME = "_runguard.json", "_schema.json"
_VERSION = 1


@dataclass(slots=True)
class Watermark:
    """What a folder holds.

    Attributes:
        about: table, its version, format, columns, ledger and app: what may not change from run to run.
        revision: of the last run.
        parts: the mark of each part when it was exported.
    """

    about: Mapping[str, Any]
    revision: int = 0
    parts: dict[str, Mark] = field(default_factory=dict)

    def save(self, folder: Path) -> None:
        """Write it in one step. ExportError: it cannot be written."""
        days: dict[str, dict[str, str]] = {}
        for part, mark in self.parts.items():
            days.setdefault(part[:10], {})[part[11:]] = f"{mark.count}:{mark.digest}"
        document = {"watermark": _VERSION, **self.about, "revision": self.revision, "days": days}
        with written(folder / STATE_NAME) as file:
            file.write(json.dumps(document, indent=1).encode())


def read_watermark(folder: Path, about: Mapping[str, Any]) -> Watermark:
    """What a folder holds; nothing where nothing was exported yet.

    Raises:
        ExportError: it cannot be read, or the folder holds the export of something else.
    """
    path = folder / STATE_NAME
    try:
        raw = json.loads(path.read_bytes())
        found = {key: raw[key] for key in about}
        parts = dict(_parts(raw["days"]))
        mark = Watermark(about, int(raw["revision"]), parts)
        is_known = raw["watermark"] == _VERSION
    except FileNotFoundError:
        return Watermark(about)
    except OSError as error:
        raise ExportError(str(path), f"cannot be read: {error.strerror}") from None
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ExportError(str(path), "does not say what was exported", _AGAIN) from None
    if not is_known:
        raise ExportError(str(path), f"was written by another version ({raw['watermark']!r:.20})", _AGAIN)
    for key, now in about.items():
        if found[key] != now:
            reason = f"the folder holds an export whose {key} is {_shown(found[key])}, not {_shown(now)}"
            raise ExportError(str(folder), reason, "name another folder")
    return mark


_AGAIN = "remove it to export everything again (equal ids are one row: the highest revision), or name another folder"


def check_not_ahead(folder: Path, watermark: Watermark, now: Mapping[str, Mark], *, covers: Any) -> None:
    """A ledger loses no calls and no events: what was exported must still be there.

    Raises:
        ExportError: it is not (an older copy of the ledger was put back).
    """
    gone = [
        part for part, mark in watermark.parts.items() if covers(part[:10]) and (part not in now or now[part].count < mark.count)
    ]
    if gone:
        reason = f"the export is ahead of the ledger: {len(gone)} parts from {min(gone)} on hold more than the ledger has"
        way_out = f"was an older copy put back? Name another folder, or remove {STATE_NAME} there to go on from this ledger"
        raise ExportError(str(folder), reason, way_out)


def _parts(days: Mapping[str, Mapping[str, str]]) -> Iterator[tuple[str, Mark]]:
    for day, inner in days.items():
        for rest, text in inner.items():
            count, _, digest = text.partition(":")
            yield (f"{day}T{rest}" if rest else day), Mark(int(count), digest)


def _shown(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 200 else f"{text[:197]}..."
