"""DiffusionRig: a denoiser conditioned on physical buffers, and on a code for everything but the geometry.

Source: Ding et al. 2023, "DiffusionRig: learning personalized priors for facial appearance editing".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Literal

import torch
import torchvision
from pydantic import Field
from torch import Tensor, nn

from facebench.training.models.config import NetworkConfig
from facebench.training.models.unet import UNet

BUFFER_CHANNELS = 9
"""Rendered face, normals and albedo, three channels each."""


class DiffusionRigConfig(NetworkConfig):
    """Configuration of a DiffusionRig; the defaults are those of the released model."""

    size: int = Field(..., gt=0)
    multipliers: tuple[int, ...]
    """Widths of the U-Net's levels relative to `channels`."""
    encoder: Literal["resnet18", "resnet50"] = "resnet18"
    channels: int = Field(128, gt=0)
    time_channels: int = Field(512, gt=0)
    code_channels: int = Field(64, gt=0)
    blocks: int = Field(2, gt=0)
    attention: tuple[int, ...] = (16,)
    dropout: float = Field(0.1, ge=0, lt=1)

    REMOVED: ClassVar[Mapping[str, Any]] = {"groups": 32, "patch": 1, "positions": False, "predicts": "eps"}
    """Options that moved to `CompactRigConfig`, with the values that give the network of the paper."""


RIG256 = DiffusionRigConfig(size=256, multipliers=(1, 1, 2, 2, 4, 4))
RIG64 = DiffusionRigConfig(size=64, multipliers=(1, 2, 3, 4))


class DiffusionRig(nn.Module):
    """Predict eps of a photo from physical buffers of the face and a code of the clean photo.

    Example:
        >>> config = DiffusionRigConfig(size=32, multipliers=(1, 2), channels=32)
        >>> model = DiffusionRig(config).eval()
        >>> photo, buffers = torch.zeros(1, 3, 32, 32), torch.zeros(1, 9, 32, 32)
        >>> model(photo, torch.tensor([3]), buffers, model.encode(photo)).shape
        torch.Size([1, 3, 32, 32])
    """

    extra_codes: tuple[str, ...] = ()
    """Codes that `driven_by` takes after the conditions."""

    def __init__(self, config: DiffusionRigConfig) -> None:
        super().__init__()
        self.config = config
        self.unet = UNet(
            config.size,
            config.channels,
            config.multipliers,
            in_channels=3 + BUFFER_CHANNELS,
            time_channels=config.time_channels,
            code_channels=config.code_channels,
            code_shift=True,
            blocks=config.blocks,
            attention=config.attention,
            dropout=config.dropout,
        )
        self.encoder = resnet_encoder(config.encoder, config.code_channels)

    def encode(self, photo: Tensor) -> Tensor:
        """Encode clean photos (n, 3, size, size) in [-1, 1] to codes z (n, code_channels).

        Like the released model, this applies no ImageNet mean and standard deviation.
        """
        z: Tensor = self.encoder(photo)
        return z

    def forward(self, x_t: Tensor, t: Tensor, conditions: Tensor, z: Tensor) -> Tensor:
        """Predict eps.

        Args:
            x_t: (n, 3, size, size) noisy photos.
            t: (n,) timesteps on the original scale.
            conditions: (n, 9, size, size): the rendered face in [0, 1], its normals in [-1, 1], and its albedo in
                [0, 1], in this order.
            z: (n, code_channels) codes of the photos.

        Returns:
            eps, (n, 3, size, size).
        """
        eps: Tensor = self.unet(torch.cat([x_t, conditions], dim=1), t, z)
        return eps

    def driven_by(self, conditions: Tensor) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        """Return the denoiser (x_t, t, z) to eps for fixed conditions (n, 9, size, size), as samplers call it."""
        return lambda x_t, t, z: self(x_t, t, conditions, z)


def resnet_encoder(name: Literal["resnet18", "resnet50"], code_channels: int) -> nn.Module:
    """Build an untrained ResNet of torchvision with `code_channels` outputs."""
    builders = {"resnet18": torchvision.models.resnet18, "resnet50": torchvision.models.resnet50}
    network: nn.Module = builders[name](weights=None, num_classes=code_channels)
    return network
