"""Random numbers of training: a pure function of the seed, the step, and a face's place in the batch.

Nothing has to be saved to resume exactly, and several processes draw what one would.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from facebench.training.data.order import seed_of


@dataclass(frozen=True)
class StepRng:
    """Chance of one step.

    Attributes:
        seed: of the run.
        step: number of the step, from 0.
        batch: faces per step over all processes.
        rows: (n,) places of this part's faces in the batch.
        device: where the numbers are wanted; they are drawn on the processor, so that all devices agree.

    Example:
        >>> whole = StepRng(0, 7, 4, torch.arange(4)).normal("noise", (2,))
        >>> part = StepRng(0, 7, 4, torch.tensor([2, 3])).normal("noise", (2,))
        >>> torch.equal(whole[2:], part)
        True
    """

    seed: int
    step: int
    batch: int
    rows: Tensor
    device: torch.device | str = "cpu"

    def normal(self, what: str, shape: tuple[int, ...]) -> Tensor:
        """Standard normal numbers (n, *shape)."""
        drawn = torch.randn((self.batch, *shape), generator=self._generator(what))
        return drawn[self.rows].to(self.device)

    def integers(self, what: str, high: int) -> Tensor:
        """Uniform integers (n,) in 0..high-1."""
        return torch.randint(high, (self.batch,), generator=self._generator(what))[self.rows].to(self.device)

    def uniform(self, what: str) -> Tensor:
        """Uniform numbers (n,) in [0, 1)."""
        return torch.rand(self.batch, generator=self._generator(what))[self.rows].to(self.device)

    def _generator(self, what: str) -> torch.Generator:
        return torch.Generator().manual_seed(seed_of(self.seed, what, self.step))
