"""A model that makes faces, which training improves: it adds noise to rendered faces, less with every step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from facebench.training.engine.callbacks.periodic import PeriodicEvaluation, Schedule

OPTIONS: dict[str, Any] = {"metrics": "fd_lite0,face_found", "name": "model"}


class NoisyFaces(nn.Module):
    """Faces of a fixed set plus noise, whose amount is the only parameter."""

    def __init__(self, pixels: np.ndarray, noise: float = 1.0) -> None:
        super().__init__()
        self.register_buffer(
            "pixels", torch.from_numpy(pixels).permute(0, 3, 1, 2).float().contiguous() / 255
        )
        self.noise = nn.Parameter(torch.tensor(noise))

    def forward(self, x: Tensor | None = None, **_: Any) -> dict[str, Tensor]:
        """Return the loss, the square of the noise."""
        return {"loss": self.noise.square()}

    def sample(self, count: int) -> Tensor:
        """Return images (count, 3, h, w) in 0..1 at random."""
        rows = torch.randint(len(self.pixels), (count,))
        noisy = self.pixels[rows] + self.noise.detach() * torch.randn(count, *self.pixels.shape[1:])
        return noisy.clamp(0, 1)


def sample(model: NoisyFaces, count: int) -> Tensor:
    return model.sample(count)


def evaluation(pixels: np.ndarray, out: Path, every: int = 2, **options: Any) -> PeriodicEvaluation:
    """An evaluation of 24 faces every few steps."""
    schedule = options.pop("schedule", Schedule(every))
    return PeriodicEvaluation(
        sample, schedule, 24, out, {**OPTIONS, "reference": pixels}, **{"on_message": print, **options}
    )
