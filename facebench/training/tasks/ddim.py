"""Training of the plain diffusion model: the baseline without a code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from facebench.training.data.faces import Batch, Faces
from facebench.training.data.sources import DataSettings, open_faces
from facebench.training.diffusion import ddim_decode, training_loss
from facebench.training.engine.image_grid import grid, to_images
from facebench.training.engine.model_file import ModelFile
from facebench.training.engine.preview_metrics import PreviewMetrics
from facebench.training.engine.rng import StepRng
from facebench.training.engine.settings import Settings, TrainConfig
from facebench.training.engine.task import Task
from facebench.training.models import UNet
from facebench.training.tasks.diffae import STEPS_SHOWN, fixed_faces, flipped


class UNetSizes(Settings):
    """Sizes of the network; the defaults are those of DiffAE's DDIM baseline on FFHQ."""

    size: int = Field(..., gt=0)
    multipliers: tuple[int, ...]
    channels: int = Field(128, gt=0)
    time_channels: int = Field(512, gt=0)
    blocks: int = Field(2, gt=0)
    attention: tuple[int, ...] = (16,)
    dropout: float = Field(0.1, ge=0, lt=1)
    groups: int = Field(32, gt=0)
    """Of the group normalisation; narrow networks want fewer than the official 32, or they lose the mean colour."""


class DDIMSettings(TrainConfig):
    """Everything that decides a trained diffusion model."""

    model: UNetSizes
    data: DataSettings
    flip: bool = False
    shown: int = Field(16, gt=0)
    """Faces in preview grids."""
    evaluated: int = Field(64, gt=1)
    """Faces of the quick evaluation."""


class DDIMTask(Task):
    """Learn to predict eps."""

    best_metric = ("fd_lite0", False)

    def __init__(self, settings: DDIMSettings, faces: Faces) -> None:
        self.settings = settings
        self.faces = faces
        torch.manual_seed(settings.seed)
        self.network: UNet = UNet(**settings.model.model_dump())
        self._preview_metrics: PreviewMetrics | None = None

    def losses(self, network: nn.Module, batch: Batch, rng: StepRng) -> dict[str, Tensor]:
        """L_simple at uniform timesteps."""
        x_0 = flipped(batch.x_0, rng) if self.settings.flip else batch.x_0
        t = rng.integers("t", 1000)
        noise = rng.normal("noise", tuple(x_0.shape[1:]))
        return {"loss": training_loss(network, x_0, t, noise).mean()}

    def preview(self, network: nn.Module) -> dict[str, NDArray[np.uint8]]:
        """New faces from fixed noise."""
        made = self._sampled(network, self.settings.shown)
        return {"samples": grid(to_images(made), columns=max(1, int(len(made) ** 0.5)))}

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """Fréchet distance of new faces to faces of the data; identity means nothing here."""
        if self._preview_metrics is None:
            self._preview_metrics = PreviewMetrics(
                fixed_faces(self.faces, self.settings.evaluated).x_0, lpips=False
            )
        numbers = self._preview_metrics.compute(self._sampled(network, len(self._preview_metrics.x_0)))
        return {name: numbers[name] for name in ("fd_lite0", "faces_found")}

    def model(self, network: nn.Module, provenance: Mapping[str, Any]) -> ModelFile:
        """The network."""
        sizes = self.settings.model.model_dump(mode="json")
        return ModelFile("ddim", network.state_dict(), sizes, dict(provenance))

    @torch.no_grad()
    def _sampled(self, network: nn.Module, count: int) -> Tensor:
        side = self.settings.model.size
        x_T = torch.randn((count, 3, side, side), generator=torch.Generator().manual_seed(0))
        device = next(network.parameters()).device
        parts = [
            ddim_decode(network, part.to(device), None, STEPS_SHOWN).cpu() for part in torch.split(x_T, 16)
        ]
        return torch.cat(parts)


SETTINGS = DDIMSettings


def make(settings: DDIMSettings) -> DDIMTask:
    """Open the data and build the network."""
    return DDIMTask(settings, open_faces(settings.data, settings.model.size))
