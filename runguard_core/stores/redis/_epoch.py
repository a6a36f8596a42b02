"""Which book this host has seen: what is lost must be a refusal, never an empty book where everything is free."""

from __future__ import annotations

import contextlib
import json
import os
import tempfile
from hashlib import blake2b
from pathlib import Path


class Remembered:
    """The epoch of one book, in a file of the user's state directory; nothing where that cannot be written."""

    def __init__(self, folder: Path | None, book: str) -> None:
        name = f"{blake2b(book.encode(), digest_size=8).hexdigest()}.json"
        self._book, self.path = book, folder / "books" / name if folder is not None else None

    def read(self) -> str | None:
        """The epoch seen last; None when none was."""
        try:
            return str(json.loads(self.path.read_text("utf-8"))["epoch"]) if self.path is not None else None
        except (OSError, ValueError, KeyError, TypeError):
            return None

    def write(self, epoch: str) -> None:
        """Remember it, whole or not at all."""
        if self.path is None or self.read() == epoch:
            return
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor, made = tempfile.mkstemp(dir=self.path.parent, prefix=self.path.name)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                json.dump({"epoch": epoch, "book": self._book}, file)
            Path(made).replace(self.path)

    @property
    def way_out(self) -> str:
        """What a person does when the book is gone."""
        restore = "put its data back (the append-only file, a replica, a backup)"
        if self.path is None:
            return f"{restore}, or use another tenant"
        return f"{restore}; or accept the loss and begin an empty book: stop the programs, delete {self.path}, start them again"
