"""Jobs of a study: one facebench command each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Job:
    """One command of a grid.

    Attributes:
        name: unique name, also of its log.
        words: words of the command after `facebench`; `OUT` stands for the folder of the grid.
        needs: names of jobs that must finish first.
        folder: output folder, relative to the folder of the grid.
        fresh: whether output of an interrupted run is removed first; other commands resume.
        repeats: whether it runs again when its command or content has changed; for other jobs this is an error.
        content: content of edited files that the command reads: training settings, or the list of pairs.
    """

    name: str
    words: tuple[str, ...]
    needs: tuple[str, ...] = ()
    folder: str = ""
    fresh: bool = False
    repeats: bool = False
    content: str = ""


OUT = "{out}"


def add_job(jobs: dict[str, Job], job: Job) -> None:
    """Add a job unless one of its name exists."""
    jobs.setdefault(job.name, job)


def make_job(
    name: str, words: Sequence[Any], needs: Sequence[str] = (), folder: str = "", fresh: bool = False
) -> Job:
    """Return a job with its words as text."""
    return Job(name, tuple(str(word) for word in words), tuple(needs), folder, fresh)
