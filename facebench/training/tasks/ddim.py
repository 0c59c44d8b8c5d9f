"""Training of the unconditional diffusion model, the baseline without a code."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import AliasChoices, Field
from torch import Tensor, nn

from facebench.training.data.faces import Batch, Faces
from facebench.training.data.sources import DataSettings, open_faces
from facebench.training.diffusion import ddim_decode, training_loss
from facebench.training.engine.image_grid import grid, to_images
from facebench.training.engine.model_file import ModelFile
from facebench.training.engine.preview_metrics import PreviewMetrics
from facebench.training.engine.rng import StepRng
from facebench.training.engine.settings import TrainConfig
from facebench.training.engine.task import Task
from facebench.training.models import DDIMConfig, UNet, build_ddim
from facebench.training.tasks.face_batches import PREVIEW_STEPS, fixed_faces, random_flip


class DDIMSettings(TrainConfig):
    """Settings of the unconditional model."""

    model: DDIMConfig
    data: DataSettings
    flip: bool = False
    """Mirror each face with probability one half."""
    preview_images: int = Field(16, gt=0, validation_alias=AliasChoices("preview_images", "shown"))
    """Faces in preview grids."""
    eval_images: int = Field(64, gt=1, validation_alias=AliasChoices("eval_images", "evaluated"))
    """Faces of the evaluation during training."""


class DDIMTask(Task):
    """Train the U-Net with L_simple."""

    network: UNet
    best_metric = ("fd_lite0", False)

    def __init__(self, settings: DDIMSettings, faces: Faces) -> None:
        self.settings = settings
        self.faces = faces
        torch.manual_seed(settings.seed)
        self.network = build_ddim(settings.model)
        self._preview_metrics: PreviewMetrics | None = None

    def losses(self, network: nn.Module, batch: Batch, rng: StepRng) -> dict[str, Tensor]:
        """Compute L_simple at uniform timesteps."""
        x_0 = random_flip(batch.x_0, rng) if self.settings.flip else batch.x_0
        t = rng.integers("t", 1000)
        noise = rng.normal("noise", tuple(x_0.shape[1:]))
        return {"loss": training_loss(network, x_0, t, noise).mean()}

    def preview(self, network: nn.Module) -> dict[str, NDArray[np.uint8]]:
        """Generate faces from fixed noise."""
        samples = self._sample(network, self.settings.preview_images)
        return {"samples": grid(to_images(samples), columns=max(1, int(len(samples) ** 0.5)))}

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """Compare generated faces with training faces by the Fréchet distance."""
        if self._preview_metrics is None:
            faces = fixed_faces(self.faces, self.settings.eval_images).x_0
            self._preview_metrics = PreviewMetrics(faces, lpips=False)
        samples = self._sample(network, len(self._preview_metrics.x_0))
        values = self._preview_metrics.compute(samples)
        return {name: values[name] for name in ("fd_lite0", "faces_found")}

    def generate(self, network: nn.Module, count: int) -> NDArray[np.uint8]:
        """Generate faces from random noise."""
        side = self.settings.model.size
        return to_images(self._decode(network, torch.randn((count, 3, side, side))))

    def model(self, network: nn.Module, provenance: Mapping[str, Any]) -> ModelFile:
        """Return the network as a model file."""
        config = self.settings.model.model_dump(mode="json")
        return ModelFile("ddim", network.state_dict(), config, dict(provenance))

    def _sample(self, network: nn.Module, count: int) -> Tensor:
        side = self.settings.model.size
        x_T = torch.randn((count, 3, side, side), generator=torch.Generator().manual_seed(0))
        return self._decode(network, x_T)

    @torch.no_grad()
    def _decode(self, network: nn.Module, x_T: Tensor) -> Tensor:
        device = next(network.parameters()).device
        parts = [
            ddim_decode(network, part.to(device), None, PREVIEW_STEPS).cpu() for part in torch.split(x_T, 16)
        ]
        return torch.cat(parts)


SETTINGS = DDIMSettings


def make(settings: DDIMSettings) -> DDIMTask:
    """Open the data and build the network."""
    return DDIMTask(settings, open_faces(settings.data, settings.model.size))
