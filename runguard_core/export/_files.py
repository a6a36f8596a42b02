"""Files that are whole or not there: written under a name that readers pass over, then renamed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from runguard_core.errors import ExportError


@contextmanager
def written(path: Path) -> Iterator[BinaryIO]:
    """A file to fill; it takes its name when the block ends well, durably, and leaves nothing behind when it does not.

    Raises:
        ExportError: it cannot be written (no right, no room, no folder); whatever had the name stays as it was.
    """
    hidden = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with hidden.open("wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        hidden.replace(path)
    except OSError as error:
        _drop(hidden)
        reason = error.strerror or str(error)
        raise ExportError(str(path), f"cannot be written: {reason}", "what was written before is whole") from None
    except BaseException:
        _drop(hidden)
        raise


def _drop(path: Path) -> None:
    with suppress(OSError):
        path.unlink()
