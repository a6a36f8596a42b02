"""Files of recordings, one run a line: plain or gzip, one or many, folders, standard input."""

from __future__ import annotations

import gzip
import io
import sys
import zlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO, cast

from runguard_core.replay._parsing import RecordingError, parse_line
from runguard_core.replay._recording import Recording

_GZIP = b"\x1f\x8b"
#: What a folder is searched for.
_PATTERNS = ("*.jsonl", "*.jsonl.gz", "*.ndjson", "*.ndjson.gz")


def recording_files(paths: Iterable[str | Path]) -> list[Path]:
    """The files that paths stand for: folders give what is in them, by name; "-" is standard input.

    Raises:
        RecordingError: a path that is not there, a folder without recordings.
    """
    found: list[Path] = []
    for path in map(Path, paths):
        if path.is_dir():
            inside = sorted({file for pattern in _PATTERNS for file in path.rglob(pattern)})
            if not inside:
                raise RecordingError(str(path), "no recordings in this folder: expected files named *.jsonl or *.jsonl.gz")
            found += inside
        elif str(path) == "-" and path in found:
            continue  # it can be read once
        elif str(path) != "-" and not path.exists():
            raise RecordingError(str(path), "no such file: expected recordings, one run a line (JSON), or a folder of them")
        else:
            found.append(path)
    return found


def read_recordings(
    files: Iterable[Path],
    *,
    on_error: Callable[[RecordingError], None] | None = None,
    on_read: Callable[[int], None] | None = None,
) -> Iterator[Recording]:
    """The runs of files, in order; blank lines are passed over.

    Args:
        files: see `recording_files`.
        on_error: told of every line (or file) that cannot be read, which is then skipped; None raises instead.
        on_read: told of every further number of bytes read, as they lie on disk.

    Raises:
        RecordingError: FILE:LINE and what was expected there.
    """
    for file in files:
        try:
            yield from _read_one(file, on_error, on_read or (lambda _: None))
        except (OSError, EOFError, zlib.error) as error:
            broken = RecordingError(str(file), f"cannot be read: {getattr(error, 'strerror', None) or error}")
            if on_error is None:
                raise broken from None
            on_error(broken)


def _read_one(
    file: Path, on_error: Callable[[RecordingError], None] | None, on_read: Callable[[int], None]
) -> Iterator[Recording]:
    raw = sys.stdin.buffer if str(file) == "-" else file.open("rb")
    with raw as opened:
        place = "standard input" if str(file) == "-" else str(file)
        lines = cast("BinaryIO", _unpacked(opened))
        before = 0
        for number, line in enumerate(lines, 1):
            now = opened.tell() if opened.seekable() else 0
            on_read(now - before)
            before = now
            try:
                text = line.decode("utf-8-sig" if number == 1 else "utf-8").strip()
                if text:
                    yield parse_line(text, f"{place}:{number}")
            except UnicodeDecodeError as error:
                _report(RecordingError(f"{place}:{number}", f"expected UTF-8: {error.reason} at byte {error.start}"), on_error)
            except RecordingError as error:
                _report(error, on_error)


def _report(error: RecordingError, on_error: Callable[[RecordingError], None] | None) -> None:
    if on_error is None:
        raise error
    on_error(error)


def _unpacked(opened: BinaryIO) -> BinaryIO | gzip.GzipFile:
    """The file's text, whatever its name says: gzip is known by its first bytes."""
    buffered = opened if isinstance(opened, io.BufferedReader) else io.BufferedReader(cast("io.RawIOBase", opened))
    return gzip.GzipFile(fileobj=buffered) if buffered.peek(2)[:2] == _GZIP else buffered
