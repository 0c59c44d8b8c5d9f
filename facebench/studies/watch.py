"""Watch a folder of checkpoints: sample from each new one with a command, evaluate the samples, and keep the best."""

from __future__ import annotations

import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facebench.compare.best import BestRun, Judged
from facebench.core.errors import FacebenchError, InputError
from facebench.core.files import safe_file_name
from facebench.evaluation.config import EvaluationConfig
from facebench.evaluation.pipeline import run_evaluation
from facebench.evaluation.record import Run
from facebench.evaluation.run_folders import RECORD

CHECKPOINT, OUT = "{checkpoint}", "{out}"
"""Placeholders of the command."""
SAMPLES = "samples"
_SETTLED = 2.0
"""Seconds for which a checkpoint must be unchanged before it counts as written."""


@dataclass(frozen=True)
class Watched:
    """An evaluated checkpoint.

    Attributes:
        checkpoint: the file or folder.
        folder: folder of the record and the samples.
        run: the record.
        judged: whether it is the best one, and why.
    """

    checkpoint: Path
    folder: Path
    run: Run
    judged: Judged


@dataclass(frozen=True)
class Watch:
    """What is watched, and how.

    Attributes:
        checkpoints: folder in which checkpoints appear, as files or folders.
        command: command that writes samples; `{checkpoint}` and `{out}` stand for the checkpoint and for a new folder.
            It runs without a shell.
        out: folder of the records and of `best.json`.
        options: options of the evaluation, such as reference, protocol and suite.
        pattern: names of checkpoints, such as `*.safetensors`.
        metric: metric that selects the best checkpoint; the primary metric of the protocol if None.

    Raises:
        InputError: the folder does not exist, the command lacks a placeholder, or an option is wrong.
    """

    checkpoints: Path
    command: str
    out: Path
    options: dict[str, Any]
    pattern: str = "*"
    metric: str | None = None

    def __post_init__(self) -> None:
        """Check the options."""
        if not self.checkpoints.is_dir():
            raise InputError(f"The folder {self.checkpoints} does not exist.")
        missing = [each for each in (CHECKPOINT, OUT) if each not in self.command]
        if missing:
            raise InputError(
                f"The command lacks {missing[0]}. Example: --sample 'python sample.py {CHECKPOINT} --out {OUT}'"
            )
        if self.out.resolve() == self.checkpoints.resolve():
            raise InputError(f"{self.out} holds the checkpoints. Choose another --out.")
        self.words  # noqa: B018 - raises
        self.config(self.out)

    @property
    def words(self) -> list[str]:
        """Words of the command."""
        try:
            return shlex.split(self.command)
        except ValueError as error:
            raise InputError(f"The command cannot be read: {error}. Check its quotes.") from error

    def config(self, samples: Path) -> EvaluationConfig:
        """Return the configuration of the evaluation of a folder of samples."""
        return EvaluationConfig.build(generated=samples, **self.options)

    def pending(self) -> list[Path]:
        """Return the finished checkpoints without a record, oldest first."""
        found = [path for path in self.checkpoints.glob(self.pattern) if not path.name.startswith(".")]
        waiting = [path for path in found if not (self.folder_of(path) / RECORD).is_file()]
        return sorted(
            (path for path in waiting if _is_written(path)), key=lambda path: (_changed(path), path.name)
        )

    def folder_of(self, checkpoint: Path) -> Path:
        """Return the folder of the record of a checkpoint."""
        return self.out / safe_file_name(checkpoint.name)


def watch(
    settings: Watch, *, interval: float = 30.0, once: bool = False, on_message: Callable[[str], None] = print
) -> Iterator[Watched]:
    """Evaluate checkpoints as they appear; one that fails is reported once and left out.

    Args:
        settings: what is watched.
        interval: seconds between two looks at the folder.
        once: end when no finished checkpoint is left.
        on_message: called with the reason of a failure.

    Yields:
        Every evaluated checkpoint.
    """
    best, failed = BestRun(settings.out, settings.metric), set[Path]()
    while True:
        pending = [path for path in settings.pending() if path not in failed]
        for checkpoint in pending[:1]:
            try:
                yield _evaluate(settings, checkpoint, best)
            except FacebenchError as error:
                failed.add(checkpoint)
                on_message(f"{checkpoint.name} is left out: {error}")
        if not pending and once:
            return
        if not pending:
            time.sleep(interval)


def _evaluate(settings: Watch, checkpoint: Path, best: BestRun) -> Watched:
    folder = settings.folder_of(checkpoint)
    samples = folder / SAMPLES
    samples.mkdir(parents=True, exist_ok=True)
    _sample(settings.words, checkpoint, samples)
    config = settings.config(samples)
    run = run_evaluation(config.model_copy(update={"name": config.name or checkpoint.name}))
    run.save(folder)
    return Watched(checkpoint, folder, run, best.offer(folder.name, run))


def _sample(words: list[str], checkpoint: Path, samples: Path) -> None:
    """Run the command.

    Raises:
        InputError: it cannot be started, or fails.
    """
    filled = [word.replace(CHECKPOINT, str(checkpoint)).replace(OUT, str(samples)) for word in words]
    try:
        done = subprocess.run(filled, capture_output=True, text=True, errors="replace", check=False)
    except OSError as error:
        raise InputError(f"the command '{filled[0]}' cannot be started: {error.strerror or error}") from error
    if done.returncode:
        last = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "no message")
        raise InputError(f"the command ended with code {done.returncode}: {last.strip()[:200]}")


def _is_written(path: Path) -> bool:
    """Return whether a checkpoint has been unchanged for a moment, and is not a temporary file."""
    return time.time() - _changed(path) >= _SETTLED and path.suffix not in (".tmp", ".partial", ".part")


def _changed(path: Path) -> float:
    """Return the time of the last change of a file, or of any file in a folder."""
    try:
        times = [path.stat().st_mtime, *(each.stat().st_mtime for each in path.rglob("*") if path.is_dir())]
    except OSError:  # removed in the meantime
        return time.time()
    return max(times)
