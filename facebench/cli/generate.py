"""`facebench generate`: images of a person from a base model and its adapters, or prior images from the base model."""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from facebench.cli.choices import Device
from facebench.cli.messages import print_line
from facebench.cli.progress import Stages
from facebench.core.errors import InputError


class Scheduler(str, Enum):
    """Schedulers of the sampling."""

    base = "base"
    ddpm = "ddpm"


class Precision(str, Enum):
    """Precision of the networks."""

    auto = "auto"
    float32 = "float32"
    fp16 = "fp16"
    bf16 = "bf16"


def generate(
    base: Annotated[
        str,
        typer.Argument(help="Base model: a folder in the layout of diffusers, or a name in the hub cache."),
    ],
    out: Annotated[Path, typer.Argument(help="Output folder; images of a person go to a sub-folder.")],
    lora: Annotated[
        Path | None, typer.Option(help="Run of `train dreambooth`; prior images without this option.")
    ] = None,
    identity: Annotated[str | None, typer.Option(help="Name of the person's sub-folder.")] = None,
    untuned: Annotated[
        bool, typer.Option("--untuned", help="Draw a person without adapters, with the same prompts.")
    ] = False,
    prompts: Annotated[
        str, typer.Option(help="base, complex, or a text file with one prompt a line.")
    ] = "base",
    count: Annotated[int, typer.Option(min=1, help="Number of images.")] = 21,
    gender: Annotated[
        str | None, typer.Option(help="Word before 'sks person', as in the released script.")
    ] = None,
    size: Annotated[
        int | None,
        typer.Option(min=8, help="Width and height in pixels; 512, or 1024 for SDXL, by default."),
    ] = None,
    scheduler: Annotated[
        Scheduler | None,
        typer.Option(help="ddpm for a person, that of the base model for prior images, by default."),
    ] = None,
    steps: Annotated[
        int | None, typer.Option(min=1, help="Sampling steps; 30, or 50 for prior images, by default.")
    ] = None,
    guidance: Annotated[
        float | None,
        typer.Option(min=0, help="Guidance scale; 5, or 7.5 for prior images, by default."),
    ] = None,
    precision: Annotated[
        Precision, typer.Option(help="Precision; auto is fp16 on CUDA and float32 elsewhere.")
    ] = Precision.auto,
    vae: Annotated[str | None, typer.Option(help="Another autoencoder: a folder, or a name.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Seed of prompts and noise.")] = 0,
    person: Annotated[
        int | None,
        typer.Option(
            min=0, help="Number of the person: models share the noise of a person, as in the released script."
        ),
    ] = None,
    device: Annotated[Device, typer.Option(help="Device of the networks.")] = Device.auto,
) -> None:
    """Generate images of a person with Stable Diffusion and trained adapters.

    Existing images are kept, so the same command continues a stopped run.
    """
    from facebench.training.data import prior_provenance, prompt_manifest
    from facebench.training.data import prompts as prompt_lists
    from facebench.training.engine.model_file import device_of
    from facebench.training.models.personal_images import Sampling, draw_images
    from facebench.training.models.stable_diffusion import apply_lora, open_base

    is_prior = identity is None
    if is_prior != (lora is None and not untuned) or (untuned and lora is not None):
        raise InputError(
            "Images of a person need --identity and either --lora or --untuned; prior images need none of them."
        )
    if identity is not None:
        prompt_manifest.read(out / prompt_manifest.NAME)  # refused before anything is generated
    model = open_base(base, vae)
    texts = [prompt_lists.CLASS] * count if is_prior else prompt_lists.prompts(prompts, count, seed, gender)
    if lora is not None:
        apply_lora(model, lora)
    folder = out if identity is None else out / identity
    folder.mkdir(parents=True, exist_ok=True)
    name = prior_provenance.NAME if is_prior else prior_provenance.OF_PERSON
    prior_provenance.record(folder, model, name, lora)
    # Defaults of the released scripts: those of the pipeline for prior images, their own for a person.
    default = Sampling("base", 50, 7.5) if is_prior else Sampling(negative=prompt_lists.NEGATIVE)
    sampling = replace(
        default,
        scheduler=scheduler.value if scheduler is not None else default.scheduler,
        steps=steps or default.steps,
        guidance=default.guidance if guidance is None else guidance,
        size=size,
        precision=precision.value,
        seed=seed,
        person=person,
    )
    with Stages() as stages:
        draw_images(model, texts, folder, sampling, device_of(device.value), stages.update)
    if identity is not None:
        prompt_manifest.add(out, identity, {f"{number:04d}.png": text for number, text in enumerate(texts)})
    print_line(f"wrote {count} images to {folder}")
