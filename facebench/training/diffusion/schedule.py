"""Noise schedules, and the subset of timesteps that a sampler uses."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from facebench.core.errors import InputError


@dataclass(frozen=True, eq=False)
class Schedule:
    """Noise schedule: the cumulative alphas, and the timesteps that the network receives.

    A shortened schedule keeps a subset of the steps. Its betas are recomputed from the remaining cumulative alphas,
    and the network still receives original timesteps.

    Example:
        >>> Schedule.linear().ddim(10).timesteps
        array([  0, 100, 200, 300, 400, 500, 600, 700, 800, 900])
    """

    alphas_cumprod: npt.NDArray[np.float64]
    """(steps,) fraction of the image's variance that remains at each step; decreasing."""
    timesteps: npt.NDArray[np.int64]
    """(steps,) original timesteps."""

    @classmethod
    def of_betas(cls, betas: npt.NDArray[np.float64]) -> Schedule:
        """Build a schedule from the variance added at each step."""
        return cls(np.cumprod(1 - betas, dtype=np.float64), np.arange(len(betas)))

    @classmethod
    def linear(cls, steps: int = 1000) -> Schedule:
        """Betas from 1e-4 to 2e-2 in equal steps, as in DiffAE and DiffusionRig (Ho et al. 2020)."""
        return cls.of_betas(np.linspace(1e-4, 2e-2, steps, dtype=np.float64))

    @classmethod
    def constant(cls, beta: float = 0.008, steps: int = 1000) -> Schedule:
        """The same beta at all steps, as in DiffAE's latent model."""
        return cls.of_betas(np.full(steps, beta, dtype=np.float64))

    @classmethod
    def scaled_linear(cls, steps: int = 1000) -> Schedule:
        """Square roots of betas in equal steps, betas from 0.00085 to 0.012, as in Stable Diffusion."""
        return cls.of_betas(np.linspace(0.00085**0.5, 0.012**0.5, steps, dtype=np.float64) ** 2)

    def __len__(self) -> int:
        return len(self.timesteps)

    @cached_property
    def betas(self) -> npt.NDArray[np.float64]:
        """(steps,) variance added at each step."""
        previous = np.append(1.0, self.alphas_cumprod[:-1])
        return np.asarray(1 - self.alphas_cumprod / previous, dtype=np.float64)

    def at(self, indices: npt.NDArray[np.int64]) -> Schedule:
        """Keep the steps with these indices."""
        return Schedule(self.alphas_cumprod[indices], self.timesteps[indices])

    def ddim(self, steps: int) -> Schedule:
        """Keep every i-th step from 0, with the smallest stride i that gives exactly `steps`.

        Unless all steps are kept, the last one is left out: ten of a thousand are 0, 100, ... 900.

        Raises:
            InputError: no integer stride gives this number of steps.
        """
        for stride in range(1, len(self) + 1):
            if len(range(0, len(self), stride)) == steps:
                return self.at(np.arange(0, len(self), stride))
        raise InputError(
            f"No integer stride gives {steps} sampling steps out of {len(self)}. "
            f"Use a divisor of {len(self)}, such as 10, 20, 100 or 250."
        )

    def evenly(self, steps: int) -> Schedule:
        """Keep `steps` steps, spread evenly from the first to the last, as ancestral sampling does.

        Raises:
            InputError: fewer than one step, or more than the schedule has.
        """
        if not 1 <= steps <= len(self):
            raise InputError(f"{steps} sampling steps are not possible. Use 1 to {len(self)}.")
        return self.at(np.round(np.linspace(0, len(self) - 1, steps)).astype(np.int64))


LINEAR = Schedule.linear()
