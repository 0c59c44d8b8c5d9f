"""`facebench generate`: images of a person from a base model and its adapters, or prior images from the base model."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from facebench.cli.choices import Device
from facebench.cli.messages import print_line
from facebench.cli.progress import Stages
from facebench.core.errors import InputError
from facebench.core.files import atomic_path


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
    prompts: Annotated[
        str, typer.Option(help="base, complex, or a text file with one prompt a line.")
    ] = "base",
    count: Annotated[int, typer.Option(min=1, help="Number of images.")] = 21,
    gender: Annotated[
        str | None, typer.Option(help="Word before 'sks person', as in the released script.")
    ] = None,
    size: Annotated[int, typer.Option(min=8, help="Width and height in pixels.")] = 512,
    steps: Annotated[int, typer.Option(min=1, help="Sampling steps.")] = 30,
    seed: Annotated[int, typer.Option(min=0, help="Seed of prompts and noise.")] = 0,
    device: Annotated[Device, typer.Option(help="Device of the networks.")] = Device.auto,
) -> None:
    """Generate images of a person with Stable Diffusion and trained adapters.

    Existing images are kept, so the same command continues a stopped run.
    """
    import torch

    from facebench.training.data import prior_provenance, prompt_manifest
    from facebench.training.data import prompts as prompt_lists
    from facebench.training.engine.model_file import device_of
    from facebench.training.models.stable_diffusion import apply_lora, open_base

    if (lora is None) != (identity is None):
        raise InputError("Images of a person need both --lora and --identity; prior images need neither.")
    if identity is not None:
        prompt_manifest.read(out / prompt_manifest.NAME)  # refused before anything is generated
    model = open_base(base)
    if lora is None:
        texts = [prompt_lists.CLASS] * count
    else:
        texts = prompt_lists.prompts(prompts, count, seed, gender)
        apply_lora(model, lora)
    folder = out if identity is None else out / identity
    folder.mkdir(parents=True, exist_ok=True)
    if lora is None:
        prior_provenance.record(folder, model)
    pipeline = model.pipeline.to(device_of(device.value))
    with Stages() as stages:
        for number, text in enumerate(texts):
            path = folder / f"{number:04d}.png"
            if not path.exists():
                result = pipeline(
                    prompt=text,
                    negative_prompt=prompt_lists.NEGATIVE,
                    num_inference_steps=steps,
                    guidance_scale=prompt_lists.GUIDANCE,
                    width=size,
                    height=size,
                    generator=torch.Generator().manual_seed(seed * 1_000_003 + number),
                )
                with atomic_path(path) as temporary:
                    result.images[0].save(temporary)
            stages.update("generating", number + 1, count)
    if identity is not None:
        prompt_manifest.add(out, identity, {f"{number:04d}.png": text for number, text in enumerate(texts)})
    print_line(f"wrote {count} images to {folder}")
