"""Running the jobs of a grid: several at a time, each once, and again only what failed."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import multiprocessing.connection
import os
import shutil
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from facebench.core.errors import InputError
from facebench.studies.grid.plan import OUT, Grid, Job, plan, read_grid

Tell = Callable[[str, str, int, int], None]
"""Called with a job's name, what became of it ("done", "known", "failed"), jobs finished and all."""


def run_grid(
    path: str | Path,
    out: str | Path,
    *,
    workers: int = 1,
    gpus: Sequence[str] = (),
    tell: Tell | None = None,
) -> Path:
    """Do what is left of a grid.

    Finished jobs are remembered with their commands, so that a grid that was stopped, or given more levels, does only
    what is new. Commands that were interrupted go on where they were.

    Args:
        path: the grid file.
        out: folder of everything that the grid makes.
        workers: jobs at a time, without GPUs.
        gpus: numbers of the GPUs; one job at a time on each.
        tell: told what becomes of every job.

    Returns:
        Folder of the study: effects.csv, study.html and plots.

    Raises:
        InputError: a broken grid file, a job that was done by another command, or jobs that failed; the first one is
            named with the end of its log.
    """
    grid, folder = read_grid(Path(path)), Path(out).absolute()
    jobs = plan(grid, Path(path).absolute().parent)
    folder.mkdir(parents=True, exist_ok=True)
    done = {job.name for job in jobs if _is_done(job, folder)}
    pairs = _PairDrawing(grid, folder, Path(path).absolute().parent)
    runner = _Runner(jobs, folder, done, pairs, tell or (lambda *_: None))
    failed = runner.run(list(gpus), workers)
    if failed:
        first = next(job for job in jobs if job.name in failed)
        raise InputError(
            f"{len(failed)} of {len(jobs)} jobs failed. The first, '{first.name}': {_last_line(_log(folder, first))} "
            f"Its log: {_log(folder, first)}. Run the same command again once that is put right."
        )
    return folder / "study"


class _PairDrawing:
    """Draws the pairs of a grid once its sets are there."""

    def __init__(self, grid: Grid, folder: Path, where: Path) -> None:
        self.grid, self.folder, self.where = grid, folder, where

    def before(self, job: Job) -> None:
        """Write pairs.csv before the first transfer."""
        asked, path = self.grid.transfer, self.folder / "pairs.csv"
        if not job.name.startswith("transfer ") or not isinstance(asked.pairs, int) or path.is_file():
            return
        from facebench.images.image_set import ImageSet
        from facebench.training.rig.transfer.pairs import draw_pairs, write_pairs

        source, target = (ImageSet.open(self._path(name)) for name in (asked.source, asked.target))
        write_pairs(path, draw_pairs(source, target, asked.pairs, asked.seed))

    def _path(self, name: str) -> Path:
        given = self.grid.sets[name].path
        return self.folder / "sets" / name if given is None else self.where / given


class _Here:
    """Runs jobs one after the other in this process, which spares loading everything again."""

    def submit(self, function: Callable[..., int], *given: Any) -> Future[int]:
        """Run it now."""
        future: Future[int] = Future()
        future.set_result(function(*given))
        return future


class _Runner:
    """Starts jobs when what they need is there."""

    def __init__(
        self, jobs: Sequence[Job], folder: Path, done: set[str], pairs: _PairDrawing, tell: Tell
    ) -> None:
        self.jobs, self.folder, self.done, self.pairs, self.tell = jobs, folder, done, pairs, tell
        self.failed: set[str] = set()

    def run(self, gpus: list[str], workers: int) -> set[str]:
        """Do the jobs; names of those that failed."""
        for job in self.jobs:
            if job.name in self.done:
                self._say(job, "known")
        if len(self.done) == len(self.jobs):
            return set()
        if workers == 1 and not gpus:
            self._until_done(_Here(), 1)
            return self.failed
        slots = len(gpus) or workers
        # Fresh processes: forks of one that has computed may hang, and each is to see its own GPU.
        context = multiprocessing.get_context("spawn")
        places = context.Queue()
        for place in gpus or [""] * workers:
            places.put(place)
        threads = max(1, (os.cpu_count() or 1) // slots)
        with ProcessPoolExecutor(slots, context, _prepare, (places, threads)) as pool:
            self._until_done(pool, slots)
        return self.failed

    def _until_done(self, pool: ProcessPoolExecutor | _Here, slots: int) -> None:
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
                f"A worker died while it ran {names}: the machine may lack memory. Use fewer --workers; what is "
                "finished is kept."
            ) from None

    def _ready(self, job: Job, running: Collection[Job]) -> bool:
        over = job.name in self.done or job.name in self.failed or job in running
        return not over and all(need in self.done for need in job.needs)

    def _start(self, pool: ProcessPoolExecutor | _Here, job: Job) -> Future[int]:
        if job.fresh:
            shutil.rmtree(self.folder / job.folder, ignore_errors=True)
        self.pairs.before(job)
        log = _log(self.folder, job)
        log.parent.mkdir(parents=True, exist_ok=True)
        return pool.submit(_command, _words(job, self.folder), log)

    def _finish(self, job: Job, code: int) -> None:
        if code == 0:
            self.done.add(job.name)
            marker = _marker(self.folder, job)
            marker.parent.mkdir(parents=True, exist_ok=True)
            marker.write_text(json.dumps(_mark(job), indent=1), encoding="utf-8")
            self._say(job, "done")
        else:
            self.failed.add(job.name)
            self._say(job, "failed")

    def _say(self, job: Job, what: str) -> None:
        self.tell(job.name, what, len(self.done), len(self.jobs))


def _is_done(job: Job, folder: Path) -> bool:
    """Whether the job's marker is there; what it made must be there too."""
    marker = _marker(folder, job)
    if not marker.is_file() or not (folder / job.folder).is_dir():
        return False
    before = json.loads(marker.read_text(encoding="utf-8"))
    if before == _mark(job):
        return True
    # The comparison may get more runs; all other commands must stay what they were.
    if job.name == "factorial":
        return False
    raise InputError(
        f"'{job.name}' was done by another command in {folder} ({_difference(before, _mark(job))}). Use another "
        f"--out, or delete {folder / job.folder} and {marker}."
    )


def _mark(job: Job) -> dict[str, Any]:
    return {"job": job.name, "command": list(job.words), "content": job.content}


def _difference(before: Mapping[str, Any], now: Mapping[str, Any]) -> str:
    if before["command"] == now["command"]:
        return "the settings or pairs that it read have changed since"
    gone, new = (
        [w for w in a["command"] if w not in b["command"]] for a, b in ((before, now), (now, before))
    )
    return f"then {' '.join(gone) or 'nothing'}, now {' '.join(new) or 'nothing'}"


def _marker(folder: Path, job: Job) -> Path:
    return folder / "done" / f"{job.name.replace(' ', '-')}.json"


def _log(folder: Path, job: Job) -> Path:
    return folder / "logs" / f"{job.name.replace(' ', '-')}.log"


def _words(job: Job, folder: Path) -> list[str]:
    return [word.replace(OUT, str(folder)) for word in job.words]


def _last_line(log: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines() if log.is_file() else []
    return lines[-1] if lines else "it said nothing."


def _prepare(places: Any, threads: int) -> None:
    """A worker's own GPU and share of the processor; it ends with the process that began it."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    place = places.get()
    if place:
        os.environ["CUDA_VISIBLE_DEVICES"] = place
    os.environ.setdefault("OMP_NUM_THREADS", str(threads))
    import torch

    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    # As if stopped from outside: a training writes a checkpoint first.
    os.kill(os.getpid(), signal.SIGTERM)


def _command(words: Sequence[str], log: Path) -> int:
    """Run one command in this process; its exit code. What it prints goes to the log."""
    from facebench import cli

    before = sys.argv
    with log.open("w", encoding="utf-8") as file:
        file.write(f"$ facebench {' '.join(words)}\n")
        with contextlib.redirect_stdout(file), contextlib.redirect_stderr(file):
            try:
                sys.argv = ["facebench", *words]
                cli.main()
            except SystemExit as ended:
                if ended.code == cli.INTERRUPTED:
                    raise KeyboardInterrupt from None
                return int(ended.code or 0)
            except Exception:
                traceback.print_exc(file=file)
                return 1
            finally:
                sys.argv = before
    return 0
