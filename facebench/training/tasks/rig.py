"""Training of DiffusionRig: on many people (stage 1), then on the album of one (stage 2).

Source: Ding et al. 2023, section 3; the released settings are the presets rig-256-stage1 and rig-256-stage2.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from facebench.core.errors import InputError
from facebench.training.data.faces import Batch
from facebench.training.data.loading import collate
from facebench.training.diffusion import Weighting, ddim_decode, timestep_weight, training_loss
from facebench.training.engine.image_grid import grid, to_images
from facebench.training.engine.model_file import ModelFile, plain
from facebench.training.engine.rng import StepRng
from facebench.training.engine.settings import Settings, TrainConfig
from facebench.training.engine.task import Task
from facebench.training.models import DiffusionRig, DiffusionRigConfig
from facebench.training.models.rig import Predicts
from facebench.training.rig.buffers.dataset import BufferSet
from facebench.training.rig.files import KIND, open_rig, provenance_of, refuse_other_buffers, to_conditions

STEPS_SHOWN = 20
FITTING: dict[Predicts, Weighting] = {"eps": "p2", "v": "v", "change": "x_0"}
"""How timesteps are weighted, unless it is said, by what the network predicts."""


class RigSizes(Settings):
    """Sizes of the network; the defaults are those of the released model."""

    size: int = Field(..., gt=0)
    multipliers: tuple[int, ...]
    encoder: Literal["resnet18", "resnet50"] = "resnet18"
    channels: int = Field(128, gt=0)
    time_channels: int = Field(512, gt=0)
    code_channels: int = Field(64, gt=0)
    blocks: int = Field(2, gt=0)
    attention: tuple[int, ...] = (16,)
    dropout: float = Field(0.1, ge=0, lt=1)
    groups: int = Field(32, gt=0)
    """Of the group normalisation; narrow networks want fewer than the official 32, or they lose the mean colour."""
    patch: int = Field(1, gt=0)
    """Side of the squares of pixels that the U-Net takes for one position: larger is faster and coarser."""
    positions: bool = False
    """Tell the U-Net where each position is; a small one learns much sooner where the eyes are."""
    predicts: Predicts = "eps"
    """What the U-Net's numbers are: eps as in the released networks; v; or the change from the rendered face to the
    photo, which a small one learns soonest: neither noise nor the face has to pass its layers."""


class RigSettings(TrainConfig):
    """Everything that decides a trained DiffusionRig."""

    data: Path
    """A folder that `facebench buffers` wrote."""
    stage: Literal[1, 2] = 1
    """2 learns one person's album: the encoder's parameters stay, its batch-norm statistics move."""
    start: Path | None = None
    """Checkpoint that stage 2 begins with."""
    model: RigSizes | None = None
    """Of stage 1; stage 2 has the sizes of its checkpoint."""
    weighting: Weighting | None = None
    """Weight of the error of eps at each timestep: all alike; P2, which favours noisy ones (Choi et al. 2022); or
    that of the error of v or x_0, which favour them more. Null takes P2, as released, for a network that predicts
    eps, v for one of v and x_0 for one of the change."""
    shown: int = Field(8, gt=0)
    """Faces in preview grids and quick evaluations."""


class RigTask(Task):
    """Learn to predict eps of a photo, told its buffers and the code that the encoder reads from it."""

    best_metric = ("mse", False)

    def __init__(self, settings: RigSettings) -> None:
        self.settings = settings
        self.faces: BufferSet = BufferSet(settings.data)
        torch.manual_seed(settings.seed)
        self.network: DiffusionRig = self._personal() if settings.stage == 2 else self._fresh()
        about, size = self.faces.about, self.network.config.size
        if about.size != size:
            raise InputError(
                f"{settings.data} holds {about.said}, but the network has {size} pixels. Make buffers of --size {size}."
            )

    def _fresh(self) -> DiffusionRig:
        if self.settings.start is not None:
            raise InputError("`start` belongs to stage 2. Say stage=2, or leave it out.")
        if self.settings.model is None:
            raise InputError("Stage 1 needs the sizes of the network, `model`. Begin with a preset.")
        return DiffusionRig(DiffusionRigConfig(**self.settings.model.model_dump()))

    def _personal(self) -> DiffusionRig:
        settings = self.settings
        if settings.start is None:
            raise InputError("Stage 2 begins with a model of stage 1. Say start=CHECKPOINT.")
        trained = open_rig(settings.start)
        refuse_other_buffers(self.faces.about, trained, settings.data)
        if not self.faces.about.mean_shape:
            raise InputError(
                f"{settings.data} was not made as an album. Stage 2 learns one person, drawn with one shape: "
                "facebench buffers ALBUM --mean-shape"
            )
        if settings.model is not None:
            self._refuse_other_sizes(trained.network.config, settings.model)
        network = trained.network.requires_grad_(True)
        network.encoder.requires_grad_(False)
        return network

    def _refuse_other_sizes(self, found: DiffusionRigConfig, wanted: RigSizes) -> None:
        for name, value in wanted.model_dump().items():
            if getattr(found, name) != value:
                raise InputError(
                    f"{self.settings.start} has {name} {getattr(found, name)}, the settings say {value}. "
                    "Leave `model` out, or give the checkpoint that fits."
                )

    def losses(self, network: nn.Module, batch: Batch, rng: StepRng) -> dict[str, Tensor]:
        """Weighted error of the predicted eps at uniform timesteps; as released, the weights are P2."""
        assert isinstance(network, DiffusionRig)
        x_0 = batch.x_0
        t = rng.integers("t", 1000)
        noise = rng.normal("noise", tuple(x_0.shape[1:]))
        denoiser = network.driven_by(self._conditions(batch))
        loss = training_loss(denoiser, x_0, t, noise, network.encode(x_0), weight=self._weight(t))
        return {"loss": loss.mean()}

    def _weight(self, t: Tensor) -> Tensor:
        return timestep_weight(t, self.settings.weighting or FITTING[self.network.config.predicts])

    def preview(self, network: nn.Module) -> dict[str, NDArray[np.uint8]]:
        """Photos, their rendered buffers, and what the network makes of these."""
        batch = self._shown()
        rendered = to_images(self._conditions(batch)[:, :3] * 2 - 1)
        made = to_images(self._rebuilt(network, batch))
        return {"rebuilt": grid(np.concatenate([to_images(batch.x_0), rendered, made]), columns=len(batch))}

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """`mse`: squared error of faces rebuilt from their buffers and codes, lower is better."""
        batch = self._shown()
        return {"mse": float((self._rebuilt(network, batch) - batch.x_0).square().mean())}

    def model(self, network: nn.Module, provenance: Mapping[str, Any]) -> ModelFile:
        """The network, and which buffers it reads."""
        assert isinstance(network, DiffusionRig)
        about = {"buffers": provenance_of(self.faces.about)}
        return ModelFile(KIND, network.state_dict(), plain(network.config), {**provenance, **about})

    def _conditions(self, batch: Batch) -> Tensor:
        return to_conditions(batch.fields["conditions"], self.faces.about.brightest)

    def _shown(self) -> Batch:
        count = min(self.settings.shown, len(self.faces))
        chosen = np.linspace(0, len(self.faces) - 1, count).astype(int).tolist()
        return collate([(row, self.faces.read(index), None) for row, index in enumerate(chosen)])

    @torch.no_grad()
    def _rebuilt(self, network: nn.Module, batch: Batch) -> Tensor:
        assert isinstance(network, DiffusionRig)
        there = batch.to(next(network.parameters()).device)
        noise = torch.randn(there.x_0.shape, generator=torch.Generator().manual_seed(0)).to(there.x_0.device)
        denoiser = network.driven_by(self._conditions(there))
        return ddim_decode(denoiser, noise, network.encode(there.x_0), STEPS_SHOWN).cpu()


SETTINGS = RigSettings


def make(settings: RigSettings) -> RigTask:
    """Open the buffers and build the network, or read the one to go on with."""
    return RigTask(settings)
