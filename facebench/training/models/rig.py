"""DiffusionRig: a denoiser driven by physical buffers, with a small code for what is not geometry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torchvision
from torch import Tensor, nn

from facebench.training.diffusion import eps_from_v, eps_from_x_0
from facebench.training.models.unet import UNet

Predicts = Literal["eps", "v", "change"]
"""What the U-Net's numbers are: eps, v, or the change from the rendered face to the photo."""


@dataclass(frozen=True)
class DiffusionRigConfig:
    """Sizes of a DiffusionRig; the defaults are those of the released model."""

    size: int
    multipliers: tuple[int, ...]
    encoder: Literal["resnet18", "resnet50"] = "resnet18"
    channels: int = 128
    time_channels: int = 512
    code_channels: int = 64
    blocks: int = 2
    attention: tuple[int, ...] = (16,)
    dropout: float = 0.1
    groups: int = 32
    patch: int = 1
    positions: bool = False
    predicts: Predicts = "eps"


RIG256 = DiffusionRigConfig(256, (1, 1, 2, 2, 4, 4))
RIG64 = DiffusionRigConfig(64, (1, 2, 3, 4))


class DiffusionRig(nn.Module):
    """Predict eps of a photo from physical buffers of the face and a code read from the clean photo.

    Source: Ding et al. 2023, "DiffusionRig: learning personalized priors for facial appearance editing".

    Example:
        >>> config = DiffusionRigConfig(32, (1, 2), channels=32)
        >>> model = DiffusionRig(config).eval()
        >>> photo, buffers = torch.zeros(1, 3, 32, 32), torch.zeros(1, 9, 32, 32)
        >>> model(photo, torch.tensor([3]), buffers, model.encode(photo)).shape
        torch.Size([1, 3, 32, 32])
    """

    def __init__(self, config: DiffusionRigConfig) -> None:
        super().__init__()
        self.config = config
        self.unet = UNet(
            config.size,
            config.channels,
            config.multipliers,
            in_channels=12,
            time_channels=config.time_channels,
            code_channels=config.code_channels,
            code_shift=True,
            blocks=config.blocks,
            attention=config.attention,
            dropout=config.dropout,
            groups=config.groups,
            patch=config.patch,
            positions=config.positions,
        )
        resnet = {"resnet18": torchvision.models.resnet18, "resnet50": torchvision.models.resnet50}
        self.encoder = resnet[config.encoder](weights=None, num_classes=config.code_channels)

    def encode(self, photo: Tensor) -> Tensor:
        """Map clean photos (n, 3, size, size) in [-1, 1] to codes z (n, code_channels).

        The released model applies no ImageNet mean and deviation.
        """
        z: Tensor = self.encoder(photo)
        return z

    def forward(self, x_t: Tensor, t: Tensor, conditions: Tensor, z: Tensor) -> Tensor:
        """Predict eps.

        Args:
            x_t: (n, 3, size, size) noisy photos.
            t: (n,) timesteps on the original scale.
            conditions: (n, 9, size, size): the rendered face in [0, 1], its normals in [-1, 1], its albedo in
                [0, 1], in this order.
            z: (n, code_channels) codes of the photos.

        Returns:
            eps, (n, 3, size, size).
        """
        predicted: Tensor = self.unet(torch.cat([x_t, conditions], dim=1), t, z)
        match self.config.predicts:
            case "v":
                return eps_from_v(x_t, t, predicted)
            case "change":
                rendered = conditions[:, :3] * 2 - 1
                return eps_from_x_0(x_t, t, rendered + predicted)
        return predicted

    def driven_by(self, conditions: Tensor) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        """Denoiser (x_t, t, z) to eps for fixed conditions (n, 9, size, size), as the samplers call it."""
        return lambda x_t, t, z: self(x_t, t, conditions, z)
