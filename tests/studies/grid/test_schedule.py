"""Jobs of a study: needs, failures, repetition, a full disk, and a Ray cluster."""

from __future__ import annotations

import resource
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from facebench.core.errors import InputError
from facebench.studies.grid.job import Job, make_job
from facebench.studies.grid.schedule import Machines, run_jobs


class Commands:
    """Commands that write a file, or fail if their first word is "fail"."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, words: Sequence[str]) -> int:
        self.seen.append(words[1])
        if words[0] == "fail":
            print("error: no reason")
            return 2
        Path(words[1]).mkdir(parents=True, exist_ok=True)
        (Path(words[1]) / "file").write_text("x" * 5000)
        return 0


def job(name: str, word: str = "write", needs: Sequence[str] = ()) -> Job:
    return make_job(name, [word, f"{{out}}/{name}"], needs, name)


def test_a_failed_job_blocks_only_the_jobs_that_need_it(tmp_path: Path) -> None:
    jobs = [job("a", "fail"), job("b", needs=["a"]), job("c"), job("d", needs=["c"])]
    commands = Commands()
    outcome = run_jobs(jobs, tmp_path, Machines(runner=commands))
    assert outcome.done == {"c", "d"}
    (failure,) = outcome.failures
    assert (failure.job.name, failure.reason) == ("a", "error: no reason")
    assert failure.log.is_file()
    repaired = [job("a"), *jobs[1:]]
    outcome = run_jobs(repaired, tmp_path, Machines(runner=commands))
    assert outcome.failures == []
    assert [Path(path).name for path in commands.seen] == ["a", "c", "d", "a", "b"]


def test_only_a_job_that_repeats_may_change(tmp_path: Path) -> None:
    commands = Machines(runner=Commands())
    for first in (job("a"), replace(job("b"), repeats=True)):
        run_jobs([first], tmp_path, commands)
    run_jobs([replace(job("b"), repeats=True, content="more people")], tmp_path, commands)
    with pytest.raises(InputError, match="'a' was finished by a different command"):
        run_jobs([replace(job("a"), content="more people")], tmp_path, commands)


def test_a_full_disk_fails_the_running_job(tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, limits[1]))
    try:
        outcome = run_jobs([job("a"), job("b")], tmp_path, Machines(runner=Commands()))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert [failure.job.name for failure in outcome.failures] == ["a", "b"]
    assert "Free some space" in outcome.failures[0].reason
    assert run_jobs([job("a"), job("b")], tmp_path, Machines(runner=Commands())).done == {"a", "b"}


@pytest.mark.system
def test_jobs_run_on_a_ray_cluster(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    jobs = [
        make_job(
            name, ["synth", f"{{out}}/{name}", "--identities", 1, "--images", 1, "--size", 32], needs, name
        )
        for name, needs in (("a", ()), ("b", ("a",)))
    ]
    outcome = run_jobs(jobs, tmp_path, Machines(engine="ray"))
    assert outcome.failures == []
    assert (tmp_path / "b" / "manifest.csv").is_file()
