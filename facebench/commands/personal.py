"""`facebench generate`: images of a person from a base model and its adapters, or prior images from the base alone."""

from __future__ import annotations

from pathlib import Path

from rich.console import Console

from facebench.cli.progress import Stages
from facebench.core.errors import InputError


def generate_command(
    base: str,
    out: Path,
    *,
    lora: Path | None,
    identity: str | None,
    prompts: str,
    count: int,
    gender: str | None,
    size: int,
    steps: int,
    seed: int,
    device: str,
) -> None:
    """Write `count` images into the person's sub-folder, or prior images straight into the folder."""
    import torch

    from facebench.training.data import prior_provenance
    from facebench.training.data import prompts as prompts_module
    from facebench.training.engine.model_file import device_of
    from facebench.training.models.stable_diffusion import open_base, put_on

    if (lora is None) != (identity is None):
        raise InputError("A person needs both --lora and --identity; prior images need neither.")
    opened = open_base(base)
    wanted = (
        [prompts_module.CLASS] * count
        if lora is None
        else prompts_module.prompts(prompts, count, seed, gender)
    )
    if lora is not None:
        put_on(opened, lora)
    folder = out if identity is None else out / identity
    folder.mkdir(parents=True, exist_ok=True)
    if lora is None:
        prior_provenance.remember(folder, opened)
    pipeline = opened.pipeline.to(device_of(device))
    with Stages(Console(stderr=True)) as stages:
        for number, text in enumerate(wanted):
            path = folder / f"{number:04d}.png"
            if not path.exists():  # a second run goes on
                made = pipeline(
                    prompt=text,
                    negative_prompt=prompts_module.NEGATIVE,
                    num_inference_steps=steps,
                    guidance_scale=prompts_module.GUIDANCE,
                    width=size,
                    height=size,
                    generator=torch.Generator().manual_seed(seed * 1_000_003 + number),
                )
                partial = path.with_suffix(".partial.png")
                made.images[0].save(partial)
                partial.replace(path)
            stages.update("generating", number + 1, count)
    Console().print(f"wrote {count} images to {folder}", markup=False, soft_wrap=True)
