"""`facebench train`: check the settings, show what happens, train."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from facebench.cli.progress import Stages
from facebench.core.errors import InputError

QUIET_SECONDS = 60
"""Without a terminal, one line in this many seconds says how far the run is."""


def train_command(
    kind: str, changes: list[str], *, config: str | None, out: Path, device: str, accept_changes: bool
) -> None:
    """Train, or go on with the run that the folder holds."""
    try:
        from facebench.training.engine import loop, settings
        from facebench.training.tasks import registry
    except ImportError as error:
        raise InputError(
            f"Training needs the package '{error.name}'. Install it: pip install 'facebench[train]'"
        ) from None

    # Of several processes under torchrun, the first one speaks.
    messages = Console(stderr=True, quiet=os.environ.get("RANK", "0") != "0")
    chosen = config or _first_preset(registry.known(kind))
    folders = [word for word in changes if "=" not in word]
    content = settings.read(chosen, [word for word in changes if "=" in word])
    if folders:
        content["data"] = {"kind": "folder", "path": _only_folder(folders)}
    if kind == registry.CLASSIFIER:
        _find_directions(content, chosen, out, device)
        return
    prepared = registry.prepare(kind, content, chosen)
    running = prepared.settings
    plain = running.model_dump(mode="json")
    messages.print(f"training {kind} ({chosen}): {running.steps} steps of {running.batch} images into {out}")
    with Meter(messages, running.batch) as meter:
        model = loop.fit(
            prepared.task,
            running,
            plain,
            out,
            device=device,
            accept_changes=accept_changes,
            watch=meter.update,
            say=lambda text: messages.print(text, markup=False, soft_wrap=True),
        )
    if not messages.quiet:
        Console().print(f"wrote {model}", markup=False, soft_wrap=True)


def _only_folder(words: list[str]) -> str:
    if len(words) > 1 or not Path(words[0]).exists():
        raise InputError(
            f"'{words[-1]}' is neither a change of the settings (key=value) nor a folder or manifest of faces."
        )
    return words[0]


def _find_directions(content: dict[str, Any], where: str, out: Path, device: str) -> None:
    from facebench.training.engine.settings import check
    from facebench.training.tasks import classifier

    content.pop("train", None)
    settings = check(classifier.ClassifierSettings, content, where)
    with Stages(Console(stderr=True)) as stages:
        path, scores = classifier.find(
            settings, out, device=device, progress=lambda done, total: stages.update("encoding", done, total)
        )
    table = Table(
        "attribute", "held-out score", title=f"directions by {settings.method}", title_justify="left"
    )
    for name, score in scores.items():
        table.add_row(name, f"{score:.3f}")
    Console().print(table)
    Console().print(
        "area under the ROC curve of a class, correlation of valence and arousal, on people not trained on",
        style="dim",
    )
    Console().print(f"wrote {path}", markup=False, soft_wrap=True)


class Meter:
    """Steps done, images per second, loss and time left: a bar on a terminal, else a line now and then."""

    def __init__(self, console: Console, batch: int) -> None:
        self.console, self.batch = console, batch
        self._bar = Progress(
            TextColumn("step"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[seen]}"),
            TimeRemainingColumn(),
            console=console,
            disable=not console.is_terminal,
        )
        self._task = self._bar.add_task("step", total=None, seen="")
        self._began: tuple[float, int] | None = None
        self._told = time.monotonic()

    def __enter__(self) -> Meter:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def update(self, step: int, steps: int, values: Mapping[str, float]) -> None:
        """Say how far the run is."""
        now = time.monotonic()
        if self._began is None:
            self._began = (now, step)
        since, first = self._began
        speed = (step - first) * self.batch / (now - since) if now > since else 0.0
        seen = f"{speed:.1f} images/s  loss {values['loss']:.4f}"
        self._bar.update(self._task, completed=step, total=steps, seen=seen)
        if not (self.console.is_terminal or self.console.quiet) and now - self._told > QUIET_SECONDS:
            self._told = now
            left = (steps - step) * self.batch / speed / 60 if speed else float("inf")
            print(f"step {step} of {steps}  {seen}  {left:.0f} min left", file=sys.stderr, flush=True)


def _first_preset(kind: str) -> str:
    from facebench.training.engine.settings import preset_names

    fitting = [name for name in preset_names() if name.startswith(kind) and name.endswith("synthface")]
    if not fitting:
        raise InputError(
            f"Say what to train with --config: a YAML file or one of {', '.join(preset_names())}."
        )
    return fitting[0]
