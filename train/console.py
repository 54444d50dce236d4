"""What a person sees while a run goes on: one progress bar at a terminal, one line an epoch elsewhere."""

import contextlib
import time
from collections.abc import Iterator

from rich.console import Console as RichConsole
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

_PERCENT = ("accuracy", "top5", "ema_accuracy", "ema_top5")


class Console:
    """Prints a run's course.

    Args:
      quiet: print nothing; for tests and experiments that print their own.
    """

    def __init__(self, quiet: bool = False) -> None:
        self.rich = RichConsole(quiet=quiet, highlight=False, soft_wrap=True)
        self._progress: Progress | None = None
        self._task = None

    def say(self, text: str) -> None:
        """Prints a line above the progress bar."""
        self.rich.print(text)

    @contextlib.contextmanager
    def progress(self, total: int, done: int) -> Iterator[None]:
        """Shows a bar of `total` steps, of which `done` are behind."""
        if not self.rich.is_terminal:
            yield
            return
        columns = (
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("{task.fields[metrics]}"),
            TimeRemainingColumn(compact=True),
        )
        with Progress(*columns, console=self.rich, transient=True) as self._progress:
            self._task = self._progress.add_task("", total=total, completed=done, metrics="")
            yield
        self._progress = None

    def step(self, step: int, metrics: dict[str, float] | None = None) -> None:
        """Moves the bar; with metrics, shows them beside it."""
        if self._progress is not None:
            fields = {"metrics": describe(metrics)} if metrics else {}
            self._progress.update(self._task, completed=step, **fields)

    @contextlib.contextmanager
    def timed(self, what: str) -> Iterator[None]:
        """Says that something slow begins, and how long it took if that was over a second."""
        started = time.perf_counter()
        if self._progress is not None:
            self._progress.update(self._task, metrics=f"[dim]{what} ...")
        yield
        seconds = time.perf_counter() - started
        if seconds > 1:
            self.say(f"[dim]{what}: {seconds:.1f} s")

    def table(self, title: str, rows: list[tuple[str, str]]) -> None:
        """Prints a table of two columns."""
        table = Table(title=title, show_header=False, title_justify="left", title_style="bold")
        for name, value in rows:
            table.add_row(name, value)
        self.rich.print(table)


def describe(metrics: dict[str, float]) -> str:
    """Metrics in one line, in the units a person reads.

    >>> describe({"loss": 0.51234, "accuracy": 0.9816, "images_per_second": 1234.5})
    'loss 0.512  accuracy 98.16 %  1,234 images/s'
    """
    parts = []
    for name, value in metrics.items():
        if name in _PERCENT:
            parts.append(f"{name.replace('_', ' ')} {100 * value:.2f} %")
        elif name == "images_per_second":
            parts.append(f"{value:,.0f} images/s")
        elif name == "learning_rate":
            parts.append(f"lr {value:.2g}")
        else:
            parts.append(f"{name.replace('_', ' ')} {value:.3g}")
    return "  ".join(parts)
