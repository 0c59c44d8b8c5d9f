"""Run jobs: several in parallel, each once its needs are finished, finished jobs once, failed jobs again."""

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
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, TextIO

from facebench.core.errors import InputError
from facebench.core.files import atomic_write_text
from facebench.core.json_files import read_json
from facebench.features.engine.ray_connection import connect
from facebench.studies.grid.job import OUT, Job

JobProgress = Callable[[str, str, int, int], None]
"""Callback invoked with the name of a job, its state ("done", "known", "failed"), and finished and total jobs."""

Runner = Callable[[Sequence[str]], int]
"""Runs one facebench command, given as words, and returns its exit code."""

INTERRUPTED = 130
"""Exit code of an interrupted command."""


@dataclass(frozen=True)
class Machines:
    """Where jobs run.

    Attributes:
        workers: number of parallel jobs without GPUs.
        gpus: numbers of the GPUs of this machine; one job at a time on each.
        engine: "local", or "ray" for the machines of a Ray cluster, which must see the same files.
        address: address of the Ray cluster; None starts one on this machine.
        runner: runs one command in this process, or in a worker process; `python -m facebench` in a process of its own
            by default.
    """

    workers: int = 1
    gpus: Sequence[str] = ()
    engine: Literal["local", "ray"] = "local"
    address: str | None = None
    runner: Runner | None = None


@dataclass(frozen=True)
class Failure:
    """A failed job.

    Attributes:
        job: the job.
        reason: last line of its log, or what prevented its start.
        log: its log.
    """

    job: Job
    reason: str
    log: Path


@dataclass(frozen=True)
class Outcome:
    """What became of jobs.

    Attributes:
        done: names of the finished jobs.
        failures: the failed jobs; jobs that need them were not started.
    """

    done: frozenset[str]
    failures: list[Failure]


def run_jobs(
    jobs: Sequence[Job],
    folder: Path,
    machines: Machines,
    *,
    progress: JobProgress | None = None,
    before: Callable[[Job], None] | None = None,
) -> Outcome:
    """Run the unfinished jobs; jobs that need a failed job are not started.

    Finished jobs are recorded with their commands in `folder`/done, so a resumed or extended study runs only new jobs.
    Interrupted commands continue where they stopped.

    Args:
        jobs: the jobs, in an order in which they can run one after the other.
        folder: output folder of the study.
        machines: where the jobs run.
        progress: callback invoked after each job.
        before: callback invoked before a job starts.

    Raises:
        InputError: a job was finished by a different command, or a worker process died.
    """
    folder.mkdir(parents=True, exist_ok=True)
    done = {job.name for job in jobs if _is_done(job, folder)}
    schedule = _Schedule(jobs, folder, done, before or (lambda job: None), progress or (lambda *_: None))
    schedule.run(machines)
    failures = [
        Failure(job, schedule.failed[job.name], log_of(folder, job))
        for job in jobs
        if job.name in schedule.failed
    ]
    return Outcome(frozenset(schedule.done), failures)


class _InlineExecutor:
    """Run jobs one after the other in this process, so that libraries are loaded once."""

    def submit(self, function: Callable[..., int], *arguments: Any) -> Future[int]:
        """Call the function and return its finished result."""
        future: Future[int] = Future()
        try:
            future.set_result(function(*arguments))
        except OSError as error:
            future.set_exception(error)
        return future


class _RayExecutor:
    """Run jobs on the machines of a Ray cluster, each on one GPU where the cluster has GPUs."""

    def __init__(self, address: str | None) -> None:
        self.ray, self._connected_here = connect(address)
        resources = self.ray.cluster_resources()
        gpus = int(resources.get("GPU", 0))
        self.slots = gpus or max(1, int(resources.get("CPU", 1)))
        self._remote = self.ray.remote(num_cpus=1, num_gpus=1 if gpus else 0, max_retries=0)(_run_logged)

    def submit(self, function: Callable[..., int], *arguments: Any) -> Future[int]:
        """Start `_run_logged` in a process of the cluster."""
        assert function is _run_logged
        future: Future[int] = self._remote.remote(*arguments).future()
        return future

    def shutdown(self) -> None:
        """Leave the cluster, and stop it if it was started here."""
        if self._connected_here:
            self.ray.shutdown()


_Executor = ProcessPoolExecutor | _InlineExecutor | _RayExecutor


class _Schedule:
    """Start every job when the jobs that it needs are finished."""

    def __init__(
        self,
        jobs: Sequence[Job],
        folder: Path,
        done: set[str],
        before: Callable[[Job], None],
        progress: JobProgress,
    ) -> None:
        self.jobs, self.folder, self.done, self.before = jobs, folder, done, before
        self.progress = progress
        self.runner: Runner | None = None
        self.failed: dict[str, str] = {}
        """Reason by the name of the job."""

    def run(self, machines: Machines) -> None:
        """Run the jobs."""
        for job in self.jobs:
            if job.name in self.done:
                self._report(job, "known")
        if len(self.done) == len(self.jobs):
            return
        self.runner = machines.runner
        if machines.engine == "ray":
            self._run_on_ray(machines.address)
        elif machines.workers == 1 and not machines.gpus:
            self._run_all(_InlineExecutor(), 1)
        else:
            self._run_in_processes(machines.gpus or [""] * machines.workers)

    def _run_in_processes(self, devices: Sequence[str]) -> None:
        # Spawned processes: forks of a process that has computed may hang, and each worker needs its own GPU.
        context = multiprocessing.get_context("spawn")
        queue = context.Queue()
        for device in devices:
            queue.put(device)
        threads = max(1, (os.cpu_count() or 1) // len(devices))
        with ProcessPoolExecutor(len(devices), context, _prepare_worker, (queue, threads)) as pool:
            self._run_all(pool, len(devices))

    def _run_on_ray(self, address: str | None) -> None:
        executor = _RayExecutor(address)
        self.runner = None
        try:
            self._run_all(executor, executor.slots)
        finally:
            executor.shutdown()

    def _run_all(self, pool: _Executor, slots: int) -> None:
        running: dict[Future[int], Job] = {}
        try:
            while True:
                ready = [job for job in self.jobs if self._ready(job, running.values())]
                for job in ready[: slots - len(running)]:
                    self._start(pool, job, running)
                if not running and not any(self._ready(job, ()) for job in self.jobs):
                    return
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    self._finish(running.pop(future), future)
        except BrokenProcessPool:
            names = ", ".join(job.name for job in running.values())
            raise InputError(
                f"A worker process died while running {names}: the machine may lack memory. Use fewer --workers; "
                "finished jobs are kept."
            ) from None

    def _ready(self, job: Job, running: Collection[Job]) -> bool:
        started = job.name in self.done or job.name in self.failed or job in running
        return not started and all(need in self.done for need in job.needs)

    def _start(self, pool: _Executor, job: Job, running: dict[Future[int], Job]) -> None:
        if job.fresh:
            shutil.rmtree(self.folder / job.folder, ignore_errors=True)
        self.before(job)
        log = log_of(self.folder, job)
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._fail(job, _disk_problem(error))
            return
        running[pool.submit(_run_logged, _words(job, self.folder), log, self.runner)] = job

    def _finish(self, job: Job, future: Future[int]) -> None:
        try:
            code = future.result()
            if code == 0:
                _write_marker(self.folder, job)
        except OSError as error:
            self._fail(job, _disk_problem(error))
            return
        if code:
            self._fail(job, _last_line(log_of(self.folder, job)))
            return
        self.done.add(job.name)
        self._report(job, "done")

    def _fail(self, job: Job, reason: str) -> None:
        self.failed[job.name] = reason
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
    if job.repeats:
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


def _write_marker(folder: Path, job: Job) -> None:
    marker = _marker(folder, job)
    marker.parent.mkdir(parents=True, exist_ok=True)
    atomic_write_text(marker, json.dumps(_mark(job), indent=1))


def _marker(folder: Path, job: Job) -> Path:
    return folder / "done" / f"{job.name.replace(' ', '-')}.json"


def log_of(folder: Path, job: Job) -> Path:
    """Return the log of a job."""
    return folder / "logs" / f"{job.name.replace(' ', '-')}.log"


def _words(job: Job, folder: Path) -> list[str]:
    return [word.replace(OUT, str(folder)) for word in job.words]


def _disk_problem(error: OSError) -> str:
    return f"the output cannot be written: {error}. Free some space, or write elsewhere."


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
