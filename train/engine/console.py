"""What a person sees while a run goes on: one progress bar at a terminal or in a notebook, and one line an epoch."""

import contextlib
import os
import sys
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TextIO

from rich.console import Console as RichConsole
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    SpinnerColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.table import Table
from rich.text import Text

from train.config import Metric, shown
from train.store.workdir import resume_command
from zoo.terminal import visible

_RATE = "images_per_second"
_SECONDS_BETWEEN_MOVES = 0.1
_SECONDS_BETWEEN_DRAWINGS = 0.25


class _Lasting:
    """A stream of text that takes no more, instead of an error, once it could not be written."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._lost = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def write(self, text: str) -> int:
        self._try(lambda: self._stream.write(text))
        return len(text)

    def flush(self) -> None:
        self._try(self._stream.flush)

    def _try(self, action: Callable[[], object]) -> None:
        if self._lost:
            return
        try:
            action()
        except OSError as error:
            self._lost = True
            discard(self._stream)
            warnings.warn(f"standard output cannot be written ({error.strerror}); the run goes on", stacklevel=2)


def discard(stream: TextIO) -> None:
    """Lets what a stream still holds go nowhere: Python would complain of it when it ends."""
    with contextlib.suppress(OSError, ValueError):  # of a stream that is no file
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, stream.fileno())
        os.close(nowhere)


class NotebookProgress(Progress):
    """A bar in the output of a notebook's cell, which Jupyter, Colab and their like redraw; it needs no widgets.

    rich's own draws through a widget from a thread, which may take other lines of the cell with it. This one is
    drawn by whoever moves it, a few times a second.
    """

    def __init__(self, *columns: ProgressColumn) -> None:
        super().__init__(*columns, auto_refresh=False)
        self._handle: Any = None
        self._next_drawing = 0.0

    def start(self) -> None:
        """Shows it."""
        from IPython.display import display

        self._handle = display(self, display_id=True)

    def stop(self) -> None:
        """Takes it away."""
        from IPython.display import HTML

        if self._handle is not None:
            self._handle.update(HTML(""))

    def update(self, task_id: TaskID, **changes: Any) -> None:
        """See `rich.progress.Progress.update`; draws it anew."""
        super().update(task_id, **{**changes, "refresh": False})
        if self._handle is not None and (changes.get("refresh") or time.perf_counter() >= self._next_drawing):
            self._handle.update(self)
            self._next_drawing = time.perf_counter() + _SECONDS_BETWEEN_DRAWINGS


class Console:
    """Prints a run's course.

    Args:
      quiet: print nothing; for tests and experiments that print their own, and for all processes but the first.
      lasting: fall silent, with a warning, where the output is full or closed; for what is to go on all the same.
    """

    metrics: dict[str, Metric]
    """What the numbers of the run mean, by name."""

    def __init__(self, quiet: bool = False, lasting: bool = False) -> None:
        self.metrics = {}
        file = _Lasting(sys.stdout) if lasting and sys.stdout is not None else None
        self._in_notebook = not quiet and RichConsole(file=file).is_jupyter
        # A notebook's kernel takes lines of text as they are; of the bar there it draws a picture of its own.
        form = {"force_jupyter": False, "force_terminal": False} if self._in_notebook else {}
        self.rich = RichConsole(file=file, quiet=quiet, highlight=False, markup=False, soft_wrap=True, **form)
        self._progress: Progress | None = None
        self._task: TaskID | None = None
        self._next_move = 0.0

    def resume_command(self, path: Path) -> str:
        """What to type, where this prints, to go on with a run."""
        return f"train.resume({str(path)!r})" if self._in_notebook else resume_command(path)

    def learn(self, metrics: Iterable[Metric]) -> None:
        """Tells what the numbers of the run mean."""
        self.metrics = {metric.name: metric for metric in metrics}

    def describe(self, metrics: dict[str, float]) -> str:
        """Metrics in one line, in the units a person reads; of a run that said which it has, those alone.

        >>> console = Console()
        >>> console.learn([Metric("loss", "Loss"), Metric("accuracy", "Accuracy", percent=True)])
        >>> console.describe({"loss": 0.51234, "ema_accuracy": 0.9816, "images_per_second": 1234.5})
        'loss 0.512  ema accuracy 98.16 %  1,234 images/s'
        """
        known = {_RATE, *self.metrics, *(f"ema_{name}" for name in self.metrics)} if self.metrics else metrics.keys()
        return "  ".join(
            self.quantity(name, value) if name == _RATE else f"{name.replace('_', ' ')} {self.quantity(name, value)}"
            for name, value in metrics.items()
            if name in known
        )

    def quantity(self, name: str, value: float) -> str:
        """One metric's value, in the unit a person reads it in."""
        if name == _RATE:
            return f"{value:,.0f} images/s"
        metric = self.metrics.get(name.removeprefix("ema_"))
        return f"{value:.3g}" if metric is None else shown(metric, value)

    def say(self, text: str, style: str | None = None) -> None:
        """Prints a line above the progress bar."""
        self.rich.print(visible(text), style=style)

    @contextlib.contextmanager
    def progress(self, total: int, done: int) -> Iterator[None]:
        """Shows a bar of `total` steps, of which `done` are behind."""
        if not (self.rich.is_terminal or self._in_notebook):
            yield
            return
        columns = (
            BarColumn(bar_width=40 if self._in_notebook else None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[shown]}", markup=False),
            TimeRemainingColumn(compact=True),
            TextColumn("left"),
        )
        if self._in_notebook:
            bar = NotebookProgress(*columns)
        else:
            # A bar that is redrawn more often costs a small machine a percent of its time.
            options = {"console": self.rich, "transient": True, "refresh_per_second": 4, "expand": True}
            bar = Progress(SpinnerColumn(), *columns, **options)
        with bar:
            self._progress, self._task = bar, bar.add_task("", total=total, completed=done, shown="")
            try:
                yield
            finally:
                self._progress = self._task = None

    def move(self, step: int) -> None:
        """Moves the bar; cheap enough to call after every dispatch."""
        if self._progress is not None and time.perf_counter() >= self._next_move:
            self._progress.update(self._task, completed=step)
            self._next_move = time.perf_counter() + _SECONDS_BETWEEN_MOVES

    def show(self, step: int, metrics: dict[str, float]) -> None:
        """Moves the bar and shows metrics beside it."""
        if self._progress is not None:
            beside = [name for name in (*self.metrics, _RATE) if name in metrics]
            text = self.describe({name: metrics[name] for name in beside[:3] + beside[3:][-1:]})
            self._progress.update(self._task, completed=step, shown=text)

    @contextlib.contextmanager
    def timed(self, what: str, say_after: float = 1.0) -> Iterator[None]:
        """Shows beside the bar what is going on, and says how long it took if that was `say_after` seconds."""
        before, started = "", time.perf_counter()
        if self._progress is not None:
            before = self._progress.tasks[self._task].fields["shown"]
            self._progress.update(self._task, shown=f"{what} ...", refresh=True)
        yield
        if self._progress is not None:
            self._progress.update(self._task, shown=before)
        seconds = time.perf_counter() - started
        if seconds >= say_after:
            self.say(f"{what}: {seconds:.1f} s", style="dim")

    def table(self, title: str, rows: list[tuple[str, str]]) -> None:
        """Prints a table of two columns; in a notebook, which shows the outcome, a line of its first two rows."""
        if self._in_notebook:
            self.say("  ".join([title, *(value for _, value in rows[:2])]))
            return
        table = Table(title=Text(visible(title)), show_header=False, title_justify="left", title_style="bold")
        table.add_column(overflow="fold")
        table.add_column(overflow="fold")
        for name, value in rows:
            table.add_row(Text(visible(name)), Text(visible(value)))
        self.rich.print(table)
