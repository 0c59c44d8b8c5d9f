"""How a transfer is drawn: the sampler, its noise, and the choice among several candidates."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import torch
from torch import Tensor

from facebench.core.errors import InputError
from facebench.core.suggest import suggest
from facebench.metrics.image_noise import laplacian_variance
from facebench.training.diffusion import Denoiser, Schedule, ddim_decode, ddpm_sample, dpm_solver_sample
from facebench.training.rig.buffers.images import ImageArray

SamplerName = Literal["ddim", "ddpm", "dpm-solver++"]
Keep = Literal["sharpest", "least-sharp"]
Noise = Literal["per-source", "shared"]
DEFAULT_STEPS: dict[SamplerName, int] = {"ddim": 20, "ddpm": 1000, "dpm-solver++": 30}
TRAINED_STEPS = 1000
"""Diffusion steps of the training."""


@dataclass(frozen=True)
class Drawing:
    """Settings of the sampling.

    Attributes:
        sampler: "ddim", "ddpm" (ancestral) or "dpm-solver++".
        steps: number of steps.
        diffusion_steps: length of the noise schedule. The networks were trained with 1000. Another length takes the
            same betas from a shorter schedule and gives the network the timesteps of that schedule, which reproduces
            scripts whose inference differs from their training.
        seed: seed of the noise.
        noise: initial noise of each source, or one noise shared by all images.
        candidates: images drawn of each job, with different noise.
        keep: the candidate that is kept: the sharpest (highest variance of the Laplacian), or the least sharp.
    """

    sampler: SamplerName = "ddim"
    steps: int = 20
    diffusion_steps: int = TRAINED_STEPS
    seed: int = 0
    noise: Noise = "per-source"
    candidates: int = 1
    keep: Keep = "sharpest"

    @classmethod
    def of(cls, sampler: str, steps: int | None = None, **further: Any) -> Drawing:
        """Read a sampler with its steps, such as "ddim50"; `steps` takes precedence.

        Raises:
            InputError: an unknown sampler or choice, or a number out of range.

        Example:
            >>> Drawing.of("ddim50").steps, Drawing.of("ddpm").steps, Drawing.of("dpm-solver++", 25).steps
            (50, 1000, 25)
        """
        match = re.fullmatch(r"(ddim|ddpm|dpm-solver\+\+)(\d+)?", sampler)
        if match is None:
            known = get_args(SamplerName)
            raise InputError(
                f"'{sampler}' is not a sampler. {suggest(sampler, known)} Steps may follow, such as ddim50."
            )
        name: SamplerName = match[1]  # type: ignore[assignment]
        number = steps if steps is not None else int(match[2]) if match[2] else DEFAULT_STEPS[name]
        drawing = cls(name, number, **further)
        if not 1 <= drawing.steps <= drawing.diffusion_steps:
            raise InputError(
                f"{name} takes 1 to {drawing.diffusion_steps} steps, the length of its schedule, not {drawing.steps}."
            )
        for value, choices in ((drawing.keep, get_args(Keep)), (drawing.noise, get_args(Noise))):
            if value not in choices:
                raise InputError(f"'{value}' is unknown. {suggest(value, choices)}")
        if drawing.candidates < 1:
            raise InputError(f"At least one candidate is drawn, not {drawing.candidates}.")
        return drawing

    @property
    def schedule(self) -> Schedule:
        """Noise schedule; a shorter one has larger betas, so that the last step is noise as well."""
        scale = TRAINED_STEPS / self.diffusion_steps
        return Schedule.of_betas(np.linspace(scale * 1e-4, scale * 2e-2, self.diffusion_steps))

    def sample(self, model: Denoiser, z: Tensor, names: Sequence[str], size: int, candidate: int) -> Tensor:
        """Draw images (n, 3, size, size) from the noise of their names.

        Args:
            model: the denoiser (x_t, t, z) to eps.
            z: (n, d) codes of the photos.
            names: names of the sources; equal names have equal noise.
            size: pixels per side.
            candidate: number of the candidate, from 0.
        """
        generators = [self._generator(name, candidate) for name in names]
        rows = [torch.randn((3, size, size), generator=generator) for generator in generators]
        x_T, schedule = torch.stack(rows).to(z.device), self.schedule
        if self.sampler == "ddpm":
            return ddpm_sample(model, x_T, z, schedule=schedule.evenly(self.steps), generator=generators)
        if self.sampler == "dpm-solver++":
            return dpm_solver_sample(model, x_T, z, self.steps, schedule=schedule)
        return ddim_decode(model, x_T, z, self.steps, schedule=schedule)

    def chosen(self, candidates: Sequence[ImageArray]) -> tuple[int, list[float]]:
        """Return the number of the kept candidate and the sharpness of all."""
        scores = [laplacian_variance(grey(image)) for image in candidates]
        best = np.argmax(scores) if self.keep == "sharpest" else np.argmin(scores)
        return int(best), scores

    def _generator(self, name: str, candidate: int) -> torch.Generator:
        """Generator that depends on the seed, the name of the source and the number of the candidate only."""
        key = f"{self.seed}:{name if self.noise == 'per-source' else ''}"
        key += f":{candidate}" if candidate else ""
        digest = hashlib.sha256(key.encode()).digest()
        return torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)


def grey(image: ImageArray) -> ImageArray:
    """Convert RGB (h, w, 3) to grey levels by the weights of ITU-R BT.601, rounded."""
    levels: ImageArray = np.rint(image @ np.array([0.299, 0.587, 0.114])).astype(np.uint8)
    return levels
