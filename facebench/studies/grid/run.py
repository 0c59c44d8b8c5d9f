"""Run the jobs of a grid: several in parallel, finished jobs once, failed jobs again."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import multiprocessing.connection
import os
import shutil
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, TextIO

from facebench.core.errors import InputError
from facebench.core.files import atomic_write_text
from facebench.core.json_files import read_json
from facebench.studies.grid.grid_file import Grid, read_grid
from facebench.studies.grid.plan import OUT, Job, plan

JobProgress = Callable[[str, str, int, int], None]
"""Callback invoked with the name of a job, its state ("done", "known", "failed"), and finished and total jobs."""

Runner = Callable[[Sequence[str]], int]
"""Runs one facebench command, given as words, and returns its exit code."""

INTERRUPTED = 130
"""Exit code of an interrupted command."""


def run_grid(
    path: str | Path,
    out: str | Path,
    *,
    workers: int = 1,
    gpus: Sequence[str] = (),
    progress: JobProgress | None = None,
    runner: Runner | None = None,
) -> Path:
    """Run the unfinished jobs of a grid.

    Finished jobs are recorded with their commands, so a resumed or extended grid runs only new jobs. Interrupted
    commands continue where they stopped.

    Args:
        path: the grid file.
        out: output folder of the grid.
        workers: number of parallel jobs without GPUs.
        gpus: numbers of the GPUs; one job at a time on each.
        progress: callback invoked after each job.
        runner: runs one command in this process, or in a worker process; `python -m facebench` in a process of its
            own by default.

    Returns:
        Folder of the study: effects.csv, study.html and plots.

    Raises:
        InputError: an invalid grid file, a job finished by a different command, or failed jobs; the message names the
            first one with the last line of its log.
    """
    grid, folder = read_grid(Path(path)), Path(out).absolute()
    jobs = plan(grid, Path(path).absolute().parent)
    folder.mkdir(parents=True, exist_ok=True)
    done = {job.name for job in jobs if _is_done(job, folder)}
    pairs = _PairDrawing(grid, folder, Path(path).absolute().parent)
    schedule = _Schedule(jobs, folder, done, pairs, progress or (lambda *_: None), runner)
    failed = schedule.run(list(gpus), workers)
    if failed:
        first = next(job for job in jobs if job.name in failed)
        raise InputError(
            f"{len(failed)} of {len(jobs)} jobs failed. The first, '{first.name}': {_last_line(_log(folder, first))} "
            f"Its log: {_log(folder, first)}. Fix the cause and run the same command again."
        )
    return folder / "study"


class _PairDrawing:
    """Draw the pairs of a grid after its image sets are complete."""

    def __init__(self, grid: Grid, folder: Path, grid_folder: Path) -> None:
        self.grid, self.folder, self.grid_folder = grid, folder, grid_folder

    def before(self, job: Job) -> None:
        """Write pairs.csv before the first transfer."""
        settings, path = self.grid.transfer, self.folder / "pairs.csv"
        if not job.name.startswith("transfer ") or not isinstance(settings.pairs, int) or path.is_file():
            return
        from facebench.images.image_set import ImageSet
        from facebench.training.rig.transfer.pairs import draw_pairs, write_pairs

        source, target = (ImageSet.open(self._path(name)) for name in (settings.source, settings.target))
        write_pairs(path, draw_pairs(source, target, settings.pairs, settings.seed))

    def _path(self, name: str) -> Path:
        path = self.grid.sets[name].path
        return self.folder / "sets" / name if path is None else self.grid_folder / path


class _InlineExecutor:
    """Run jobs one after the other in this process, so that libraries are loaded once."""

    def submit(self, function: Callable[..., int], *arguments: Any) -> Future[int]:
        """Call the function and return its finished result."""
        future: Future[int] = Future()
        future.set_result(function(*arguments))
        return future


class _Schedule:
    """Start every job when the jobs that it needs are finished."""

    def __init__(
        self,
        jobs: Sequence[Job],
        folder: Path,
        done: set[str],
        pairs: _PairDrawing,
        progress: JobProgress,
        runner: Runner | None,
    ) -> None:
        self.jobs, self.folder, self.done, self.pairs = jobs, folder, done, pairs
        self.progress, self.runner = progress, runner
        self.failed: set[str] = set()

    def run(self, gpus: list[str], workers: int) -> set[str]:
        """Run the jobs; return the names of failed jobs."""
        for job in self.jobs:
            if job.name in self.done:
                self._report(job, "known")
        if len(self.done) == len(self.jobs):
            return set()
        if workers == 1 and not gpus:
            self._run_all(_InlineExecutor(), 1)
            return self.failed
        slots = len(gpus) or workers
        # Spawned processes: forks of a process that has computed may hang, and each worker needs its own GPU.
        context = multiprocessing.get_context("spawn")
        devices = context.Queue()
        for device in gpus or [""] * workers:
            devices.put(device)
        threads = max(1, (os.cpu_count() or 1) // slots)
        with ProcessPoolExecutor(slots, context, _prepare_worker, (devices, threads)) as pool:
            self._run_all(pool, slots)
        return self.failed

    def _run_all(self, pool: ProcessPoolExecutor | _InlineExecutor, slots: int) -> None:
        running: dict[Future[int], Job] = {}
        try:
            while True:
                ready = [job for job in self.jobs if self._ready(job, running.values())]
                for job in ready[: slots - len(running)]:
                    running[self._start(pool, job)] = job
                if not running:
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    self._finish(running.pop(future), future.result())
        except BrokenProcessPool:
            names = ", ".join(job.name for job in running.values())
            raise InputError(
                f"A worker process died while running {names}: the machine may lack memory. Use fewer --workers; "
                "finished jobs are kept."
            ) from None

    def _ready(self, job: Job, running: Collection[Job]) -> bool:
        started = job.name in self.done or job.name in self.failed or job in running
        return not started and all(need in self.done for need in job.needs)

    def _start(self, pool: ProcessPoolExecutor | _InlineExecutor, job: Job) -> Future[int]:
        if job.fresh:
            shutil.rmtree(self.folder / job.folder, ignore_errors=True)
        self.pairs.before(job)
        log = _log(self.folder, job)
        log.parent.mkdir(parents=True, exist_ok=True)
        return pool.submit(_run_logged, _words(job, self.folder), log, self.runner)

    def _finish(self, job: Job, code: int) -> None:
        if code == 0:
            self.done.add(job.name)
            marker = _marker(self.folder, job)
            marker.parent.mkdir(parents=True, exist_ok=True)
            atomic_write_text(marker, json.dumps(_mark(job), indent=1))
            self._report(job, "done")
        else:
            self.failed.add(job.name)
            self._report(job, "failed")

    def _report(self, job: Job, state: str) -> None:
        self.progress(job.name, state, len(self.done), len(self.jobs))


def _is_done(job: Job, folder: Path) -> bool:
    """Return whether the job has a marker and an output folder."""
    marker = _marker(folder, job)
    if not marker.is_file() or not (folder / job.folder).is_dir():
        return False
    before = read_json(marker)
    if not isinstance(before, dict) or not isinstance(before.get("command"), list):
        raise InputError(f"{marker} is damaged. Delete it; the job then runs again.")
    if before == _mark(job):
        return True
    # The comparison may get more runs; all other commands must not change.
    if job.name == "factorial":
        return False
    raise InputError(
        f"'{job.name}' was finished by a different command in {folder} ({_difference(before, _mark(job))}). Use a new "
        f"--out, or delete {folder / job.folder} and {marker}."
    )


def _mark(job: Job) -> dict[str, Any]:
    return {"job": job.name, "command": list(job.words), "content": job.content}


def _difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    if before["command"] == now["command"]:
        return "its settings or pairs have changed since"
    removed, added = (
        [w for w in a["command"] if w not in b["command"]] for a, b in ((before, now), (now, before))
    )
    return f"before: {' '.join(removed) or 'nothing'}, now: {' '.join(added) or 'nothing'}"


def _marker(folder: Path, job: Job) -> Path:
    return folder / "done" / f"{job.name.replace(' ', '-')}.json"


def _log(folder: Path, job: Job) -> Path:
    return folder / "logs" / f"{job.name.replace(' ', '-')}.log"


def _words(job: Job, folder: Path) -> list[str]:
    return [word.replace(OUT, str(folder)) for word in job.words]


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.is_file() else []
    return lines[-1] if lines else "the log is empty."


def _prepare_worker(devices: Any, threads: int) -> None:
    """Give a worker process its GPU and its share of the processor; it ends with its parent."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    device = devices.get()
    if device:
        os.environ["CUDA_VISIBLE_DEVICES"] = device
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    # The signal of an operator: a training process writes a checkpoint first.
    os.kill(os.getpid(), signal.SIGTERM)


def _run_logged(words: Sequence[str], log: Path, runner: Runner | None) -> int:
    """Run one command with its output in a log file, and return its exit code."""
    with log.open("w", encoding="utf-8") as file:
        file.write(f"$ facebench {' '.join(words)}\n")
        file.flush()
        code = _run_process(words, file) if runner is None else _run_here(words, file, runner)
    if code == INTERRUPTED:
        raise KeyboardInterrupt
    return code


def _run_process(words: Sequence[str], log: TextIO) -> int:
    command = [sys.executable, "-m", "facebench", *words]
    return subprocess.run(command, stdout=log, stderr=subprocess.STDOUT, check=False).returncode


def _run_here(words: Sequence[str], log: TextIO, runner: Runner) -> int:
    with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
        try:
            return runner(words)
        except Exception:
            traceback.print_exc(file=log)
            return 1
