"""Draw images of a person, or prior images, with a base model and its adapters."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from facebench.core.errors import InputError
from facebench.core.files import atomic_path
from facebench.core.progress import Progress, no_progress
from facebench.training.models.stable_diffusion import Base

STATE = ".noise.npz"
"""State of the shared generator after the last image."""
SIZES = {"sd": 512, "sdxl": 1024}
"""Side of the images in pixels by kind of base model."""

Precision = Literal["auto", "float32", "fp16", "bf16"]
_TYPES = {"float32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16}


@dataclass(frozen=True)
class Sampling:
    """How images are drawn.

    Attributes:
        scheduler: "ddpm", or "base" for the scheduler that the base model carries.
        steps: sampling steps.
        guidance: scale of classifier-free guidance.
        negative: negative prompt; None for none.
        size: width and height in pixels; None for 512 (Stable Diffusion 2.1) or 1024 (SDXL).
        precision: of the networks; "auto" is fp16 on CUDA and float32 elsewhere.
        seed: seed of the noise.
        person: number of the person. One generator with this seed draws the noise of all images, so that models share
            it, as in the script of ID-Booth. None seeds each image by `seed` and its number.
    """

    scheduler: Literal["base", "ddpm"] = "ddpm"
    steps: int = 30
    guidance: float = 5.0
    negative: str | None = None
    size: int | None = None
    precision: Precision = "auto"
    seed: int = 0
    person: int | None = None


def draw_images(
    base: Base,
    prompts: Sequence[str],
    folder: Path,
    sampling: Sampling,
    device: torch.device,
    progress: Progress = no_progress,
) -> None:
    """Draw one image for each prompt as `folder`/0000.png and so on; existing images are kept.

    Args:
        base: the base model, with adapters if they are loaded.
        prompts: one per image.
        folder: existing folder.
        sampling: how images are drawn.
        device: device of the networks.
        progress: callback invoked after each image.

    Raises:
        InputError: the size does not fit the base model.
    """
    side = sampling.size or SIZES[base.kind]
    if side % base.downsampling:
        raise InputError(f"size={side}: {base.name} draws sizes that are multiples of {base.downsampling}.")
    pipeline = _prepared(base, sampling, device)
    noise = _Noise(folder, sampling, device, _digest(prompts, sampling))
    for number, text in enumerate(prompts):
        path = folder / f"{number:04d}.png"
        if not noise.skips(number, path):
            result = pipeline(
                prompt=text,
                negative_prompt=sampling.negative,
                num_inference_steps=sampling.steps,
                guidance_scale=sampling.guidance,
                width=side,
                height=side,
                generator=noise.generator(number),
            )
            if not path.exists():
                with atomic_path(path) as temporary:
                    result.images[0].save(temporary)
            noise.keep(number)
        progress("generating", number + 1, len(prompts))


def _prepared(base: Base, sampling: Sampling, device: torch.device) -> Any:
    from diffusers import DDPMScheduler

    pipeline = base.pipeline
    if sampling.scheduler == "ddpm":
        scheduler: Any = DDPMScheduler
        pipeline.scheduler = scheduler.from_config(pipeline.scheduler.config)
    precision = sampling.precision
    if precision == "auto":
        precision = "fp16" if device.type == "cuda" else "float32"
    return pipeline.to(device) if precision == "float32" else pipeline.to(device, _TYPES[precision])


class _Noise:
    """Generators of the images; a shared generator continues after the last image of a stopped run."""

    def __init__(self, folder: Path, sampling: Sampling, device: torch.device, digest: str) -> None:
        self.sampling, self.path, self.digest = sampling, folder / STATE, digest
        self.shared: torch.Generator | None = None
        self.drawn = 0
        if sampling.person is not None:
            self.shared = torch.Generator(device).manual_seed(sampling.person)
            self._restore()

    def generator(self, number: int) -> torch.Generator:
        """Return the generator of an image."""
        if self.shared is not None:
            return self.shared
        return torch.Generator().manual_seed(self.sampling.seed * 1_000_003 + number)

    def skips(self, number: int, path: Path) -> bool:
        """Whether an existing image need not be drawn; a shared generator may have to draw it for its noise."""
        return path.exists() and (self.shared is None or number < self.drawn)

    def keep(self, number: int) -> None:
        """Store the state of a shared generator after an image."""
        if self.shared is not None:
            with atomic_path(self.path) as temporary:
                np.savez(
                    temporary, drawn=number + 1, digest=self.digest, state=self.shared.get_state().numpy()
                )

    def _restore(self) -> None:
        assert self.shared is not None
        try:
            with np.load(self.path, allow_pickle=False) as stored:
                if str(stored["digest"]) != self.digest:
                    return
                state: Tensor = torch.from_numpy(stored["state"])
                self.shared.set_state(state)
                self.drawn = int(stored["drawn"])
        except (OSError, ValueError, KeyError, RuntimeError):
            return  # the images are drawn again for their noise


def _digest(prompts: Sequence[str], sampling: Sampling) -> str:
    """Digest of all that the noise depends on: the number of draws depends on prompts, steps and size."""
    return hashlib.sha256(repr((list(prompts), sampling)).encode()).hexdigest()
