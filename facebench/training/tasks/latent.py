"""Training of the latent diffusion model, which samples z_sem of new faces."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import AliasChoices, Field
from torch import Tensor, nn

from facebench.training.data.faces import Batch, Face
from facebench.training.data.sources import DataSettings, open_faces
from facebench.training.diffusion import ddim_decode, training_loss
from facebench.training.diffusion.schedule import Schedule
from facebench.training.editing.latents import encode_faces
from facebench.training.editing.linear import LatentStatistics
from facebench.training.engine.image_grid import grid, to_images
from facebench.training.engine.model_file import ModelFile, device_of
from facebench.training.engine.rng import StepRng
from facebench.training.engine.settings import Settings, TrainConfig
from facebench.training.engine.task import Task
from facebench.training.models import DiffusionAutoencoder, LatentDPM, LatentDPMConfig
from facebench.training.models.load import open_autoencoder
from facebench.training.tasks.face_batches import PREVIEW_STEPS

SCHEDULE = Schedule.constant(0.008)
"""A constant beta, as in the official latent models."""


class LatentSizes(Settings):
    """Network settings; the defaults are those of the official FFHQ models. The autoencoder gives the code's width."""

    hidden: int = Field(2048, gt=0)
    layers: int = Field(10, gt=1)
    sinusoid_channels: int = Field(64, gt=0)
    time_channels: int = Field(512, gt=0)


class LatentSettings(TrainConfig):
    """Settings of latent model training."""

    checkpoint: Path
    """Diffusion autoencoder that encodes the data."""
    model: LatentSizes = LatentSizes()
    data: DataSettings
    preview_images: int = Field(16, gt=0, validation_alias=AliasChoices("preview_images", "shown"))
    """Faces in preview grids."""


class CodeFaces:
    """Training set of normalised codes."""

    def __init__(self, z: Tensor) -> None:
        self.z = z.cpu().numpy()
        self._blank = np.zeros((1, 1, 3), np.uint8)

    def __len__(self) -> int:
        return len(self.z)

    def read(self, index: int) -> Face:
        """Return code `index` with an empty image."""
        return Face(f"code {index}", self._blank, {"z": self.z[index]})


class LatentTask(Task):
    """Train the latent model to predict eps of normalised codes."""

    def __init__(self, settings: LatentSettings, autoencoder: DiffusionAutoencoder, z_sem: Tensor) -> None:
        self.settings, self.autoencoder = settings, autoencoder
        self.statistics = LatentStatistics.of(z_sem)
        self.faces = CodeFaces(self.statistics.normalise(z_sem))
        torch.manual_seed(settings.seed)
        config = LatentDPMConfig(code_channels=z_sem.shape[1], **settings.model.model_dump())
        self.network: LatentDPM = LatentDPM(config)

    def losses(self, network: nn.Module, batch: Batch, rng: StepRng) -> dict[str, Tensor]:
        """Compute the absolute error of eps, as for the official latent model."""
        z = batch.fields["z"]
        t = rng.integers("t", len(SCHEDULE))
        noise = rng.normal("noise", tuple(z.shape[1:]))
        return {"loss": training_loss(network, z, t, noise, schedule=SCHEDULE, norm="l1").mean()}

    def preview(self, network: nn.Module) -> dict[str, NDArray[np.uint8]]:
        """Generate new faces."""
        count = self.settings.preview_images
        faces = sample(network, self.statistics, self.autoencoder, count, seed=0)
        return {"samples": grid(to_images(faces), columns=max(1, int(len(faces) ** 0.5)))}

    def model(self, network: nn.Module, provenance: Mapping[str, Any]) -> ModelFile:
        """Return the latent model and the statistics of the codes as a model file."""
        assert isinstance(network, LatentDPM)
        tensors = dict(network.state_dict())
        tensors |= {"codes.mean": self.statistics.mean, "codes.std": self.statistics.std}
        return ModelFile("latent-dpm", tensors, network.config.model_dump(mode="json"), dict(provenance))


SETTINGS = LatentSettings


def make(settings: LatentSettings) -> LatentTask:
    """Encode the data with the autoencoder and build the network."""
    device = device_of("auto")
    autoencoder = open_autoencoder(settings.checkpoint, device)
    faces = open_faces(settings.data, autoencoder.config.size)
    return LatentTask(settings, autoencoder.cpu(), encode_faces(autoencoder, faces).z_sem.cpu())


@torch.no_grad()
def sample(
    network: nn.Module,
    statistics: LatentStatistics,
    autoencoder: DiffusionAutoencoder,
    count: int,
    *,
    seed: int,
    steps: int = PREVIEW_STEPS,
    batch: int = 16,
) -> Tensor:
    """Generate new faces: z_sem from the latent model, x_T from noise.

    Args:
        network: the latent model.
        statistics: mean and standard deviation of the training codes.
        autoencoder: decodes the codes.
        count: number of faces.
        seed: seed of the noise.
        steps: DDIM steps of both models.
        batch: faces per batch.

    Returns:
        (count, 3, s, s) in [-1, 1], on the CPU.
    """
    generator = torch.Generator().manual_seed(seed)
    side, width = autoencoder.config.size, autoencoder.config.code_channels
    device = next(autoencoder.parameters()).device
    latent_device = next(network.parameters()).device
    faces = []
    for start in range(0, count, batch):
        size = min(batch, count - start)
        z_T = torch.randn((size, width), generator=generator)
        x_T = torch.randn((size, 3, side, side), generator=generator)
        z = ddim_decode(network, z_T.to(latent_device), None, steps, schedule=SCHEDULE, clip=False)
        z_sem = statistics.denormalise(z.cpu()).to(device)
        faces.append(autoencoder.decode(x_T.to(device), z_sem, steps).cpu())
    return torch.cat(faces)
