"""Random numbers of training, a function of the seed, the step and the position in the batch.

Checkpoints need no generator state, and distributed training uses the same numbers as a single process.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from facebench.training.data.order import seed_of


@dataclass(frozen=True)
class StepRng:
    """Random numbers of one step.

    Attributes:
        seed: seed of the run.
        step: number of the step, from 0.
        batch_size: images per step over all processes.
        rows: (n,) positions of this part's images in the batch.
        device: device of the results; numbers are generated on the CPU, so that all devices use the same ones.

    Example:
        >>> whole = StepRng(0, 7, 4, torch.arange(4)).normal("noise", (2,))
        >>> part = StepRng(0, 7, 4, torch.tensor([2, 3])).normal("noise", (2,))
        >>> torch.equal(whole[2:], part)
        True
    """

    seed: int
    step: int
    batch_size: int
    rows: Tensor
    device: torch.device | str = "cpu"

    def normal(self, what: str, shape: tuple[int, ...]) -> Tensor:
        """Return standard normal numbers (n, *shape) for the purpose `what`."""
        numbers = torch.randn((self.batch_size, *shape), generator=self._generator(what))
        return numbers[self.rows].to(self.device)

    def integers(self, what: str, high: int) -> Tensor:
        """Return uniform integers (n,) in 0..high-1 for the purpose `what`."""
        return torch.randint(high, (self.batch_size,), generator=self._generator(what))[self.rows].to(
            self.device
        )

    def uniform(self, what: str) -> Tensor:
        """Return uniform numbers (n,) in [0, 1) for the purpose `what`."""
        return torch.rand(self.batch_size, generator=self._generator(what))[self.rows].to(self.device)

    def _generator(self, what: str) -> torch.Generator:
        return torch.Generator().manual_seed(seed_of(self.seed, what, self.step))
