"""Training of the latent model, which makes z_sem of faces that do not exist."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from facebench.training.data.faces import Batch, Face
from facebench.training.data.sources import DataSettings, open_faces
from facebench.training.diffusion import ddim_decode, training_loss
from facebench.training.diffusion.schedule import Schedule
from facebench.training.editing.autoencoder import rendered
from facebench.training.editing.latents import encode_faces
from facebench.training.editing.linear import LatentStatistics
from facebench.training.engine.image_grid import grid, to_images
from facebench.training.engine.model_file import ModelFile, device_of, plain
from facebench.training.engine.rng import StepRng
from facebench.training.engine.settings import Settings, TrainConfig
from facebench.training.engine.task import Task
from facebench.training.models import DiffAE, LatentDPM, LatentDPMConfig
from facebench.training.models.load import open_diffae
from facebench.training.tasks.diffae import STEPS_SHOWN

SCHEDULE = Schedule.constant(0.008)
"""All betas alike, as in the official latent models."""


class LatentSizes(Settings):
    """Sizes of the network; the defaults are those of the official FFHQ models."""

    hidden: int = Field(2048, gt=0)
    layers: int = Field(10, gt=1)
    sinusoid_channels: int = Field(64, gt=0)
    time_channels: int = Field(512, gt=0)


class LatentSettings(TrainConfig):
    """Everything that decides a trained latent model."""

    checkpoint: Path
    """The diffusion autoencoder whose codes are learnt."""
    model: LatentSizes = LatentSizes()
    data: DataSettings
    shown: int = Field(16, gt=0)


class CodeFaces:
    """Normalised codes as a training set."""

    def __init__(self, z: Tensor) -> None:
        self.z = z.cpu().numpy()
        self._blank = np.zeros((1, 1, 3), np.uint8)

    def __len__(self) -> int:
        return len(self.z)

    def read(self, index: int) -> Face:
        """Code `index`; there is no picture."""
        return Face(f"code {index}", self._blank, {"z": self.z[index]})


class LatentTask(Task):
    """Learn to predict the noise in normalised codes."""

    def __init__(self, settings: LatentSettings, autoencoder: DiffAE, z_sem: Tensor) -> None:
        self.settings, self.autoencoder = settings, autoencoder
        self.statistics = LatentStatistics.of(z_sem)
        self.faces = CodeFaces(self.statistics.normalise(z_sem))
        torch.manual_seed(settings.seed)
        config = LatentDPMConfig(code_channels=z_sem.shape[1], **settings.model.model_dump())
        self.network: LatentDPM = LatentDPM(config)

    def losses(self, network: nn.Module, batch: Batch, rng: StepRng) -> dict[str, Tensor]:
        """Absolute error of the predicted eps (L1, as the official latent model)."""
        z = batch.fields["z"]
        t = rng.integers("t", len(SCHEDULE))
        noise = rng.normal("noise", tuple(z.shape[1:]))
        return {"loss": training_loss(network, z, t, noise, schedule=SCHEDULE, norm="l1").mean()}

    def preview(self, network: nn.Module) -> dict[str, NDArray[np.uint8]]:
        """New faces."""
        made = sample(network, self.statistics, self.autoencoder, self.settings.shown, seed=0)
        return {"samples": grid(to_images(made), columns=max(1, int(len(made) ** 0.5)))}

    def model(self, network: nn.Module, provenance: Mapping[str, Any]) -> ModelFile:
        """The latent model and the statistics of the codes."""
        assert isinstance(network, LatentDPM)
        tensors = dict(network.state_dict())
        tensors |= {"codes.mean": self.statistics.mean, "codes.std": self.statistics.std}
        return ModelFile("latent-dpm", tensors, plain(network.config), dict(provenance))


SETTINGS = LatentSettings


def make(settings: LatentSettings) -> LatentTask:
    """Encode the data with the autoencoder and build the network."""
    device = device_of("auto")
    autoencoder = open_diffae(settings.checkpoint, device)
    faces = open_faces(settings.data, autoencoder.config.size)
    return LatentTask(settings, autoencoder.cpu(), encode_faces(autoencoder, faces).z_sem.cpu())


@torch.no_grad()
def sample(
    network: nn.Module,
    statistics: LatentStatistics,
    autoencoder: DiffAE,
    count: int,
    *,
    seed: int,
    steps: int = STEPS_SHOWN,
    batch: int = 16,
) -> Tensor:
    """Make faces that do not exist: z_sem from the latent model, x_T from chance.

    Args:
        network: the latent model.
        statistics: mean and deviation of the codes it was trained on.
        autoencoder: draws the faces.
        count: how many.
        seed: of the noise.
        steps: DDIM steps of both models.
        batch: faces at a time.

    Returns:
        (count, 3, s, s) in [-1, 1], on the CPU.
    """
    generator = torch.Generator().manual_seed(seed)
    side, width = autoencoder.config.size, autoencoder.config.code_channels
    device = next(autoencoder.parameters()).device
    made = []
    for start in range(0, count, batch):
        size = min(batch, count - start)
        z_T = torch.randn((size, width), generator=generator)
        x_T = torch.randn((size, 3, side, side), generator=generator)
        place = next(network.parameters()).device
        z = ddim_decode(network, z_T.to(place), None, steps, schedule=SCHEDULE, clip=False)
        z_sem = statistics.denormalise(z.cpu()).to(device)
        made.append(rendered(autoencoder, x_T.to(device), z_sem, steps).cpu())
    return torch.cat(made)
