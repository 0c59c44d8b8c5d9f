"""Run the ID-Booth study: adapters and images, then measures of the finished people, then tables."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from facebench.core.errors import InputError
from facebench.core.files import atomic_write_text
from facebench.core.version import __version__
from facebench.studies.grid.schedule import Failure, JobProgress, Machines, Outcome, run_jobs
from facebench.studies.id_booth.base_digests import base_digests
from facebench.studies.id_booth.measure_plan import plan_alignment, plan_measures
from facebench.studies.id_booth.people import Person, notes_on, people_with_one_face
from facebench.studies.id_booth.plan import (
    ImageFolder,
    image_folders,
    missing_people,
    plan_models,
    write_prompts,
)
from facebench.studies.id_booth.request import Request
from facebench.studies.id_booth.tables import write_tables

RECORD = "study.json"
MAX_LISTED = 5
"""Number of failures that the message lists."""


@dataclass(frozen=True)
class Study:
    """Result of the study.

    Attributes:
        tables: written tables.
        notes: what a reader of the tables must know.
        failures: failed jobs.
        missing: people without images, by set of images.
    """

    tables: list[Path]
    notes: list[str]
    failures: list[Failure]
    missing: dict[str, list[str]] = field(default_factory=dict)

    def check(self) -> None:
        """Check that nothing is missing.

        Raises:
            InputError: names the failed jobs with the last line of their logs.
        """
        if not self.failures:
            return
        lines = [
            f"{failure.job.name}: {failure.reason} (log: {failure.log})"
            for failure in self.failures[:MAX_LISTED]
        ]
        more = f"\n... and {len(self.failures) - MAX_LISTED} more" if self.failures[MAX_LISTED:] else ""
        people = sorted({name for names in self.missing.values() for name in names})
        who = f" Tables leave out {', '.join(people)} where their images are missing." if people else ""
        raise InputError(
            f"{len(self.failures)} jobs failed:\n"
            + "\n".join(lines)
            + more
            + f"\n{who.strip()} Fix the cause and run "
            "the same command again; finished jobs are kept."
        )


def run_study(
    request: Request,
    out: Path,
    machines: Machines | None = None,
    *,
    progress: JobProgress | None = None,
    on_note: Callable[[str], None] = lambda text: None,
) -> Study:
    """Run the unfinished parts of the study, and write the tables of what is finished.

    A failed person does not stop the others: measures and tables leave the person out and are made again when the
    person is finished.

    Args:
        request: inputs of the study.
        out: folder of the study; the same request continues it.
        machines: where the jobs run; one after the other on this machine by default.
        progress: callback invoked after each job.
        on_note: callback invoked with each note about the people.

    Raises:
        InputError: the folder holds another study, or a finished job would now differ.
    """
    out, machines = out.absolute(), machines or Machines()
    out.mkdir(parents=True, exist_ok=True)
    write_prompts(request, out)
    notes = _notes(request, on_note)
    models = run_jobs(plan_models(request), out, machines, progress=progress)
    folders = image_folders(request)
    finished = {folder: _finished(request, folder, models) for folder in folders}
    aligned = run_jobs(plan_alignment(request, out, finished), out, machines, progress=progress)
    jobs = plan_measures(request, out, finished, aligned.done)
    measures = run_jobs(jobs, out, machines, progress=progress)
    tables = _tables(out, [job.folder for job in jobs if job.name in measures.done])
    failures = [*models.failures, *aligned.failures, *measures.failures]
    study = Study(tables, notes, failures, missing_people(request, models.done, folders))
    atomic_write_text(out / RECORD, json.dumps(_record(request, out, study), indent=1) + "\n")
    return study


def _notes(request: Request, on_note: Callable[[str], None]) -> list[str]:
    notes = [base.problem for base in request.bases if base.problem]
    notes += [*notes_on(request.people), *people_with_one_face(request.root)]
    for note in notes:
        on_note(note)
    return notes


def _finished(request: Request, folder: ImageFolder, outcome: Outcome) -> Sequence[Person]:
    return [person for person in request.people if folder.job(person) in outcome.done]


def _tables(out: Path, folders: Sequence[str]) -> list[Path]:
    evaluations = [out / folder for folder in folders if folder.startswith("runs/")]
    utilities = [out / folder for folder in folders if folder.startswith("utility/")]
    return write_tables(out / "tables", evaluations, utilities) if evaluations or utilities else []


def _record(request: Request, out: Path, study: Study) -> Mapping[str, Any]:
    return {
        "facebench": __version__,
        "settings": request.settings.model_dump(mode="json"),
        "losses": list(request.losses),
        "bases": [
            {"label": base.label, "path": base.path, "kind": base.kind, "digests": base_digests(out, base)}
            for base in request.bases
        ],
        "references": {name: str(path) for name, path in request.references.items()},
        "people": {person.name: person.images for person in request.people},
        "notes": study.notes,
        "missing": study.missing,
        "failures": [
            {"job": failure.job.name, "reason": failure.reason, "log": str(failure.log)}
            for failure in study.failures
        ],
    }
