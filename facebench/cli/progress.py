"""Progress bars: images of a stage, bytes of a download, steps of a training run."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import TypeVar

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.text import Text

from facebench.core.language import message, translate

QUIET_SECONDS = 60
"""Interval of the progress lines when stderr is not a terminal."""

_Self = TypeVar("_Self", bound="_Bars")


class _Bars:
    """Progress bars on a terminal; nothing elsewhere."""

    def __init__(self, console: Console, *columns: ProgressColumn) -> None:
        self._progress = Progress(*columns, console=console, disable=not console.is_terminal)
        self._tasks: dict[str, TaskID] = {}

    def __enter__(self: _Self) -> _Self:
        _start(self._progress)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _stop(self._progress)

    def update(self, name: str, done: int, total: int | None) -> None:
        """Set the progress of a bar; the first call adds the bar."""
        if name not in self._tasks:
            self._tasks[name] = self._progress.add_task(translate(name), total=total)
        self._progress.update(self._tasks[name], completed=done, total=total)


def _start(progress: Progress) -> None:
    if not progress.disable:
        progress.start()


def _stop(progress: Progress) -> None:
    """Stop the bars of a terminal. Rich before 14.1 prints an empty line for bars that are disabled."""
    if not progress.disable:
        progress.stop()


class Stages(_Bars):
    """One bar for each stage of a command: images done, images per second, time left.

    Without a terminal, such as in a batch job, a stage prints one line a minute.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._quiet: dict[str, tuple[float, int]] = {}
        """Time and images done at the first update of each stage."""
        self._last_line = time.monotonic()
        super().__init__(
            console or Console(stderr=True),
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            _ImagesPerSecond(),
            TimeRemainingColumn(),
        )

    def update(self, name: str, done: int, total: int | None) -> None:
        """Set the progress of a bar, or print a line."""
        super().update(name, done, total)
        now = time.monotonic()
        start, first = self._quiet.setdefault(name, (now, done))
        if self._progress.disable and now - self._last_line > QUIET_SECONDS and done > first:
            self._last_line = now
            speed = (done - first) / (now - start)
            left = "" if total is None else f" of {total:,}, {(total - done) / speed / 60:.0f} min left"
            print(f"{name}: {done:,}{left}, {speed:.1f} per second", file=sys.stderr, flush=True)


class Downloads(_Bars):
    """One bar for each download: bytes, speed, time left."""

    def __init__(self, console: Console | None = None) -> None:
        super().__init__(
            console or Console(stderr=True),
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )


class TrainingProgress:
    """Steps, images per second, loss and time left: a bar on a terminal, else one line a minute."""

    def __init__(self, console: Console, batch: int) -> None:
        self.console, self.batch = console, batch
        self._bar = Progress(
            TextColumn(translate(message("step"))),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[status]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("step", total=None, status="")
        self._start: tuple[float, int] | None = None
        """Time and step of the first update."""
        self._last_line = time.monotonic()

    def __enter__(self) -> TrainingProgress:
        _start(self._bar)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _stop(self._bar)

    def update(self, step: int, steps: int, values: Mapping[str, float]) -> None:
        """Show the current step and its loss."""
        now = time.monotonic()
        if self._start is None:
            self._start = (now, step)
        start, first = self._start
        speed = (step - first) * self.batch / (now - start) if now > start else 0.0
        status = f"{speed:.1f} images/s  loss {values['loss']:.4f}"
        self._bar.update(self._task, completed=step, total=steps, status=status)
        is_quiet = not (self.console.is_terminal or self.console.quiet)
        if is_quiet and now - self._last_line > QUIET_SECONDS and speed > 0:
            self._last_line = now
            minutes = (steps - step) * self.batch / speed / 60
            line = translate(f"step {step} of {steps}  {status}  {minutes:.0f} min left")
            print(line, file=sys.stderr, flush=True)


class _ImagesPerSecond(ProgressColumn):
    def render(self, task: Task) -> Text:
        speed = task.finished_speed or task.speed
        return Text("" if not speed else translate(f"{speed:.1f} images/s"), style="dim")
