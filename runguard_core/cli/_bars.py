"""A bar for work that takes a while."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from runguard_core.cli._app import err


@contextmanager
def bar(title: str, total: int) -> Iterator[Callable[[int], None]]:
    """A bar on standard error, where that is a terminal; what it yields is told how much further the work has come."""
    if not err.is_terminal:
        yield lambda _: None
        return
    with Progress(
        TextColumn(title), BarColumn(), TextColumn("{task.percentage:>3.0f} %"), TimeElapsedColumn(),
        console=err, transient=True,
    ) as progress:  # fmt: skip
        task = progress.add_task(title, total=total or None)
        yield lambda amount: progress.update(task, advance=amount)


class Told:
    """What long work tells: so much is done, so much there is; `total` is what it said last."""

    def __init__(self, show: Progress | None, what: str) -> None:
        """A bar that counts `what` (in the plural); none without `show`."""
        self._shown, self.total = show, 0
        self._task = show.add_task(what, total=None) if show is not None else None

    def __call__(self, done: int, total: int) -> None:
        """Show it."""
        self.total = total
        if self._shown is not None and self._task is not None:
            self._shown.update(self._task, completed=done, total=total)


@contextmanager
def told(what: str, *, is_shown: bool) -> Iterator[Told]:
    """A bar for work that tells how far it has come, with the time that is left; gone when the work is done."""
    if not is_shown or not err.is_terminal:
        yield Told(None, what)
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=err, transient=True) as shown:
        yield Told(shown, what)
