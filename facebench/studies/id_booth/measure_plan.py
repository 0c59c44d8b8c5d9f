"""Jobs that measure the images.

align               aligned crops of all sets, if the settings ask for them
evaluate            metrics of each set of images, and of one half of each real set against the other half
utility             recognisers that are trained on drawn images, on photographs, and on both
"""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from facebench.core.files import safe_file_name
from facebench.studies.grid.job import OUT, Job, make_job
from facebench.studies.id_booth import image_sets
from facebench.studies.id_booth.base_digests import base_digests
from facebench.studies.id_booth.people import Person
from facebench.studies.id_booth.plan import ImageFolder
from facebench.studies.id_booth.request import Request

PEOPLE = "people"
"""Name of the set of photographs that recognisers are trained on."""
REAL = "real faces"
"""Row of a recogniser that is trained on photographs."""
DIGITS = 16
"""Digits of a digest in a tag."""
MOST_FACELESS = "1.0"
"""Share of drawn images that may be unusable: the record counts them."""


Finished = Mapping[ImageFolder, Sequence[Person]]
"""Finished people of each set of images; sets without people are not measured."""


def plan_alignment(request: Request, out: Path, finished: Finished) -> list[Job]:
    """Write the manifests of the finished people, and return the jobs that align all sets of images.

    There are no jobs if the settings evaluate the images as they are.
    """
    for folder, people in finished.items():
        if people:
            prompts = out / "prompts" / folder.name
            image_sets.write_generated_set(out / folder.folder, prompts, people)
    if request.settings.evaluate.align is None:
        return []
    sets = {name: str(path) for name, path in request.references.items()}
    sets |= {PEOPLE: str(request.root)} if request.benchmarks is not None else {}
    jobs = [_align(request, name, path, image_sets.version(Path(path))) for name, path in sets.items()]
    return jobs + [
        _align(request, folder.name, f"{OUT}/{folder.folder}", _content(people))
        for folder, people in finished.items()
        if people
    ]


def plan_measures(request: Request, out: Path, finished: Finished, aligned: Collection[str]) -> list[Job]:
    """Write the image sets that the measures need, and return the jobs that measure them.

    Args:
        request: inputs of the study.
        out: folder of the study.
        finished: finished people of each set.
        aligned: names of the finished jobs of `plan_alignment`.
    """
    versions = {name: image_sets.version(path) for name, path in request.references.items()}
    sets = _Sets(request, out, aligned, versions)
    measured = {folder: people for folder, people in finished.items() if people and sets.has(folder.name)}
    jobs = [_evaluate(request, sets, folder, people) for folder, people in measured.items()]
    jobs += [_evaluate_real(request, sets, name) for name in request.references if sets.halves(name)]
    return jobs + (_utilities(request, sets, measured) if request.benchmarks is not None else [])


@dataclass(frozen=True)
class _Sets:
    """Folders of the sets that are measured: as they are, or aligned."""

    request: Request
    out: Path
    aligned: Collection[str]
    versions: Mapping[str, str]
    """Versions of the real sets by name."""

    def has(self, name: str) -> bool:
        """Whether a set can be measured."""
        return self.request.settings.evaluate.align is None or f"align {name}" in self.aligned

    def path(self, name: str, own: str | Path) -> Path:
        """Return the folder of a set; `own` is that of the images as they are."""
        return self.out / own if self.request.settings.evaluate.align is None else self.out / _aligned(name)

    def halves(self, name: str) -> bool:
        """Write the two halves of a real set; return whether there are two."""
        path = self.path(name, self.request.references[name])
        return self.has(name) and image_sets.write_halves(self.out / _halves(name), path)

    def joined(self, name: str, parts: Mapping[str, Path], people: Sequence[Person]) -> str:
        """Write a set of some people, and return its folder."""
        image_sets.write_joined_set(self.out / "sets" / name, parts, people)
        return f"{OUT}/sets/{name}"

    def tags(self, folder: ImageFolder) -> dict[str, str]:
        """Return the tags of a set: those of its block, and the digest of the U-Net of its base model."""
        unet = base_digests(self.out, folder.base).get("unet")
        return folder.tags if unet is None else {**folder.tags, "unet": unet[:DIGITS]}

    def word(self, path: Path) -> str:
        """Return a path as a word of a command."""
        return f"{OUT}/{path.relative_to(self.out)}" if path.is_relative_to(self.out) else str(path)


def _aligned(name: str) -> str:
    return f"aligned/{name}"


def _halves(name: str) -> str:
    return f"sets/{name}-halves"


def _align(request: Request, name: str, path: str, content: str) -> Job:
    settings = request.settings.evaluate
    words = ["align", path, f"{OUT}/{_aligned(name)}", "--template", settings.align]
    words += ["--detector", settings.detector]
    return _repeated(f"align {name}", words, _aligned(name), content)


def _evaluate(request: Request, sets: _Sets, folder: ImageFolder, people: Sequence[Person]) -> Job:
    images = sets.word(sets.path(folder.name, folder.folder))
    references = {
        name: _reference(request, sets, folder, sets.path(name, own), people)
        for name, own in request.references.items()
        if sets.has(name)
    }
    words = [*_measures(request, images, references), *_tags(sets.tags(folder)), "--name", folder.model]
    content = _content(people) + json.dumps(sets.versions, sort_keys=True)
    return _evaluation(folder.name, words, content)


def _evaluate_real(request: Request, sets: _Sets, name: str) -> Job:
    """Return the job that compares one half of a real set with the other half, and with the other real sets."""
    first, second = (f"{OUT}/{_halves(name)}/{half}" for half in image_sets.HALVES)
    others = {
        other: sets.word(sets.path(other, own))
        for other, own in request.references.items()
        if sets.has(other)
    }
    words = [*_measures(request, first, {**others, name: second}), "--name", f"{name} (real faces)"]
    return _evaluation(f"real-{name}", words, json.dumps(sets.versions, sort_keys=True))


def _measures(request: Request, images: str, references: Mapping[str, str]) -> list[Any]:
    """Return the words of an evaluation without its name."""
    settings = request.settings.evaluate
    words: list[Any] = ["evaluate", images, "--protocol", settings.protocol]
    words += ["--suite", settings.suite, "--detector", settings.detector, "--max-rejected", MOST_FACELESS]
    return words + [word for name, path in references.items() for word in ("--reference", f"{name}={path}")]


def _evaluation(name: str, words: Sequence[Any], content: str) -> Job:
    folder = f"runs/{safe_file_name(name)}"
    return _repeated(f"evaluate {name}", [*words, "--out", f"{OUT}/{folder}"], folder, content)


def _reference(
    request: Request, sets: _Sets, folder: ImageFolder, path: Path, people: Sequence[Person]
) -> str:
    """Return a real set; of the people themselves, only those who are finished: scripts match people by position."""
    whole = len(people) == len(request.people) or not path.exists()
    if whole or not image_sets.has_people(path, people):
        return sets.word(path)
    return sets.joined(f"{path.name}-of-{folder.name}", {"real": path}, people)


def _utilities(request: Request, sets: _Sets, measured: Finished) -> list[Job]:
    training = request.settings.utility.training
    real = sets.path(PEOPLE, request.root)
    jobs = []
    if "real" in training and sets.has(PEOPLE):
        jobs.append(_utility(request, sets.word(real), REAL, "real", request.people, {}))
    for folder, people in measured.items():
        if folder.loss is None or len(people) < 2:
            continue  # images without adapters have no identity; one person cannot train a recogniser
        generated = sets.path(folder.name, folder.folder)
        if "synthetic" in training:
            words = sets.word(generated), folder.model, folder.name
            jobs.append(_utility(request, *words, people, sets.tags(folder)))
        if "mixed" in training and sets.has(PEOPLE):
            name = f"{folder.name}-mixed"
            images = sets.joined(name, {"generated": generated, "real": real}, people)
            jobs.append(
                _utility(request, images, f"{folder.model} + {REAL}", name, people, sets.tags(folder))
            )
    return jobs


def _utility(
    request: Request,
    images: str,
    name: str,
    job: str,
    people: Sequence[Person],
    tags: Mapping[str, str],
) -> Job:
    settings = request.settings.utility
    words: list[Any] = ["utility", images, *settings.changes, "--config", settings.config]
    words += ["--data", request.benchmarks, "--benchmarks", ",".join(settings.benchmarks)]
    words += ["--validation", settings.validation, "--seeds", settings.seeds]
    words += [*_tags(tags), "--name", name, "--out", f"{OUT}/utility/{job}"]
    return _repeated(f"utility {job}", words, f"utility/{job}", _content(people))


def _tags(tags: Mapping[str, str]) -> list[str]:
    return [word for name, value in tags.items() for word in ("--tag", f"{name}={value}")]


def _content(people: Sequence[Person]) -> str:
    """Text that changes with the people and the number of their photographs."""
    return json.dumps([[person.name, person.images] for person in people])


def _repeated(name: str, words: Sequence[Any], folder: str, content: str) -> Job:
    """Return a job that runs again from the start when its content has changed."""
    return replace(make_job(name, words, folder=folder), repeats=True, fresh=True, content=content)
