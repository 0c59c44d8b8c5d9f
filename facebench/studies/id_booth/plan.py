"""Jobs that train the adapters and draw the images.

prior               prior images, once for each base model
lora                adapters of a base model, loss and person
draw                images of a base model, loss, set of prompts and person; also without adapters
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from facebench.core.errors import InputError
from facebench.core.files import atomic_write_text
from facebench.studies.grid.job import OUT, Job, make_job
from facebench.studies.id_booth.bases import BaseModel
from facebench.studies.id_booth.people import Person
from facebench.studies.id_booth.request import Request
from facebench.studies.id_booth.settings import LOSSES, PROMPTS, UNTUNED, UNUSED_WEIGHT
from facebench.training.data.prompts import BASE, released_prompts, with_gender
from facebench.training.presets import read

_CONFIGS = {"dreambooth": "dreambooth", "portraitbooth": "portraitbooth", "id-booth": "idbooth"}
"""Last part of the name of a training preset."""
_UNTUNED = "untuned"
"""Folder of the images without adapters."""


@dataclass(frozen=True)
class ImageFolder:
    """Images of all people by one model and set of prompts: a row of the tables.

    Attributes:
        base: the base model.
        loss: the loss, or None without adapters.
        prompts: "base" or "complex".
    """

    base: BaseModel
    loss: str | None
    prompts: str

    @property
    def name(self) -> str:
        """Name of the set."""
        return f"{self.base.name}-{self.loss or _UNTUNED}-{self.prompts}"

    @property
    def model(self) -> str:
        """Name of the row."""
        return UNTUNED if self.loss is None else LOSSES[self.loss]

    @property
    def tags(self) -> dict[str, str]:
        """Tags of the block of the row."""
        return {"base": self.base.label, "prompt": PROMPTS[self.prompts]}

    @property
    def folder(self) -> str:
        """Folder of the images, relative to that of the study."""
        return f"images/{self.base.name}/{self.loss or _UNTUNED}/{self.prompts}"

    def job(self, person: Person) -> str:
        """Name of the job that draws a person."""
        return f"draw {self.name} {person.name}"


def image_folders(request: Request) -> list[ImageFolder]:
    """Return the sets of images: all base models, losses and prompts, and the base models without adapters."""
    return [
        ImageFolder(base, loss, prompts)
        for base in request.bases
        for prompts in PROMPTS
        for loss in (None, *request.losses)
    ]


def plan_models(request: Request) -> list[Job]:
    """Return the jobs up to the images, in an order in which they can run one after the other.

    Raises:
        InputError: a training setting is wrong.
    """
    needs_identity = [loss for loss in request.losses if loss != "dreambooth"]
    if needs_identity and request.recogniser is None:
        raise InputError("The identity losses have no recogniser.")
    jobs = []
    for base in request.bases:
        jobs.append(_prior(request, base))
        for person in request.people:
            jobs += [_lora(request, base, loss, person) for loss in request.losses]
    folders = image_folders(request)
    return jobs + [
        _draw(request, folder, number, person)
        for number, person in enumerate(request.people)
        for folder in folders
    ]


def write_prompts(request: Request, out: Path) -> None:
    """Write the prompts of every model and person, one file each.

    Raises:
        InputError: a file holds other prompts of an earlier run.
    """
    for folder, person, texts in _prompts(request):
        path = out / _prompt_file(folder, person)
        content = "\n".join(texts) + "\n"
        if path.is_file() and path.read_text(encoding="utf-8") != content:
            raise InputError(
                f"{path} holds other prompts: the people, losses or prompts of the study have changed. Use a new --out."
            )
        path.parent.mkdir(parents=True, exist_ok=True)
        if not path.is_file():
            atomic_write_text(path, content)


def _prompts(request: Request) -> Iterator[tuple[ImageFolder, Person, list[str]]]:
    settings, count = request.settings, request.settings.draw.images
    released = {
        "trailing_comma": settings.defects.trailing_comma,
        "per_model": settings.defects.side_portraits_per_model,
    }
    tuned = released_prompts(len(request.people), len(request.losses), count, **released)
    untuned = released_prompts(len(request.people), 1, count, **released)  # a run of its own
    for folder in image_folders(request):
        for number, person in enumerate(request.people):
            if folder.prompts == "base":
                texts = [BASE] * count
            elif folder.loss is None:
                texts = untuned[number][0]
            else:
                texts = tuned[number][request.losses.index(folder.loss)]
            gender = person.gender if folder.prompts == "complex" else None
            yield folder, person, [with_gender(text, gender) for text in texts]


def _prompt_file(folder: ImageFolder, person: Person) -> str:
    return f"prompts/{folder.name}/{person.name}.txt"


def _prior(request: Request, base: BaseModel) -> Job:
    settings = request.settings
    words: list[Any] = ["generate", base.path, f"{OUT}/prior/{base.name}", "--count", settings.prior.images]
    words += ["--scheduler", settings.prior.scheduler, "--steps", settings.prior.steps]
    words += ["--guidance", settings.prior.guidance, *_image_options(request, base)]
    return make_job(f"prior {base.name}", words, folder=f"prior/{base.name}")


def _image_options(request: Request, base: BaseModel) -> list[Any]:
    settings = request.settings
    vae = settings.train.vae_sdxl if base.kind == "sdxl" else None
    options: list[Any] = ["--size", settings.size(base.kind), "--precision", settings.draw.precision]
    return options + (["--vae", vae] if vae is not None else [])


def _lora(request: Request, base: BaseModel, loss: str, person: Person) -> Job:
    config, changes = training_of(request, base, loss)
    folder = f"lora/{base.name}/{loss}/{person.name}"
    words = ["train", "dreambooth", f"base={base.path}", f"data.path={person.folder}"]
    words += [f"prior={OUT}/prior/{base.name}"]
    words += [f"recogniser={request.recogniser}"] if loss != "dreambooth" else []
    words += [*changes, "--config", config, "--out", f"{OUT}/{folder}"]
    job = make_job(f"lora {base.name}-{loss} {person.name}", words, [f"prior {base.name}"], folder)
    return replace(job, content=json.dumps(read(config, changes), sort_keys=True))


def training_of(request: Request, base: BaseModel, loss: str) -> tuple[str, list[str]]:
    """Return the preset or file of a training, and the changes of its settings."""
    settings, train = request.settings, request.settings.train
    config = train.configs[base.kind]
    if not config.endswith((".yaml", ".yml")):
        config = f"{config}-{_CONFIGS[loss]}"
    changes = [f"resolution={settings.size(base.kind)}", *train.changes]
    if base.kind == "sdxl":
        changes += train.changes_sdxl
        changes += [f"vae={train.vae_sdxl}"] if train.vae_sdxl is not None else []
    return config, changes + _defective(request, loss)


def _defective(request: Request, loss: str) -> list[str]:
    """Changes of the training settings that repeat or mend defects of the released script."""
    kinds = {"dreambooth": "none", "portraitbooth": "identity", "id-booth": "triplet"}
    changes = [f"identity_loss={kinds[loss]}"]
    defects = request.settings.defects
    if loss == "dreambooth":
        return changes
    weight = 1.0 if defects.unweighted_identity_loss else UNUSED_WEIGHT
    changes.append(f"identity_weight={weight}")
    positive = "last" if defects.last_embedding else "own"
    negative = "other" if defects.shuffled_negatives and loss == "id-booth" else "own"
    return [*changes, f"positive={positive}", f"negative={negative}"]


def _draw(request: Request, folder: ImageFolder, number: int, person: Person) -> Job:
    settings, base = request.settings.draw, folder.base
    words: list[Any] = ["generate", base.path, f"{OUT}/{folder.folder}", "--identity", person.name]
    needs = []
    if folder.loss is None:
        words.append("--untuned")
    else:
        words += ["--lora", f"{OUT}/lora/{base.name}/{folder.loss}/{person.name}"]
        needs = [f"lora {base.name}-{folder.loss} {person.name}"]
    words += ["--prompts", f"{OUT}/{_prompt_file(folder, person)}", "--count", settings.images]
    words += ["--scheduler", settings.scheduler, "--steps", settings.steps, "--guidance", settings.guidance]
    words += ["--person", number] if settings.shared_noise else []
    words += _image_options(request, base)
    return make_job(folder.job(person), words, needs, f"{folder.folder}/{person.name}")


def missing_people(
    request: Request, done: frozenset[str], folders: Sequence[ImageFolder]
) -> dict[str, list[str]]:
    """Return the people without images by the name of the set; sets with all people are left out."""
    missing = {
        folder.name: [person.name for person in request.people if folder.job(person) not in done]
        for folder in folders
    }
    return {name: people for name, people in missing.items() if people}
