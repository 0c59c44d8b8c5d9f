"""DiffusionRig-Emo v2: a DiffusionRig whose blocks also receive the codes of shape and identity.

    code = [encoder(photo), shape, identity]        64 + 100 + 150 values in the released models
    identity = [shape, appearance]                  FLAME: shape 100 and texture 50

Source: the public code of DiffusionRig-Emo (2025); Ding et al. 2023 (DiffusionRig) for everything else.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from pydantic import Field
from torch import Tensor, nn

from facebench.training.models.diffusionrig import (
    BUFFER_CHANNELS,
    RIG64,
    RIG256,
    DiffusionRigConfig,
    resnet_encoder,
)
from facebench.training.models.unet import UNet


class DiffusionRigEmoConfig(DiffusionRigConfig):
    """Configuration of a DiffusionRig-Emo v2; the defaults are those of the released models."""

    shape_channels: int = Field(100, gt=0)
    """Values of the shape code."""
    identity_channels: int = Field(150, gt=0)
    """Values of the identity code: shape and appearance."""


EMO256 = DiffusionRigEmoConfig(size=256, multipliers=RIG256.multipliers)
EMO64 = DiffusionRigEmoConfig(size=64, multipliers=RIG64.multipliers)


class DiffusionRigEmo(nn.Module):
    """Predict eps of a photo from buffers, a code of the clean photo, and the codes of shape and identity.

    Example:
        >>> config = DiffusionRigEmoConfig(size=32, multipliers=(1, 2), channels=32)
        >>> model = DiffusionRigEmo(config).eval()
        >>> photo, buffers = torch.zeros(1, 3, 32, 32), torch.zeros(1, 9, 32, 32)
        >>> z, shape, identity = model.encode(photo), torch.zeros(1, 100), torch.zeros(1, 150)
        >>> model(photo, torch.tensor([3]), buffers, z, shape, identity).shape
        torch.Size([1, 3, 32, 32])
    """

    extra_codes = ("shape", "identity")
    """Codes that `driven_by` takes after the conditions, in this order."""

    def __init__(self, config: DiffusionRigEmoConfig) -> None:
        super().__init__()
        self.config = config
        self.unet = UNet(
            config.size,
            config.channels,
            config.multipliers,
            in_channels=3 + BUFFER_CHANNELS,
            time_channels=config.time_channels,
            code_channels=config.code_channels + config.shape_channels + config.identity_channels,
            code_shift=True,
            blocks=config.blocks,
            attention=config.attention,
            dropout=config.dropout,
        )
        self.encoder = resnet_encoder(config.encoder, config.code_channels)

    def encode(self, photo: Tensor) -> Tensor:
        """Encode clean photos (n, 3, size, size) in [-1, 1] to codes z (n, code_channels)."""
        z: Tensor = self.encoder(photo)
        return z

    def forward(
        self, x_t: Tensor, t: Tensor, conditions: Tensor, z: Tensor, shape: Tensor, identity: Tensor
    ) -> Tensor:
        """Predict eps.

        Args:
            x_t: (n, 3, size, size) noisy photos.
            t: (n,) timesteps on the original scale.
            conditions: (n, 9, size, size), as in `DiffusionRig.forward`.
            z: (n, code_channels) codes of the photos.
            shape: (n, shape_channels) shape codes; the mean shape of the album in stage 2 and at inference.
            identity: (n, identity_channels) codes of shape and appearance.

        Returns:
            eps, (n, 3, size, size).
        """
        code = torch.cat([z, shape, identity], dim=1)
        eps: Tensor = self.unet(torch.cat([x_t, conditions], dim=1), t, code)
        return eps

    def driven_by(
        self, conditions: Tensor, shape: Tensor, identity: Tensor
    ) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        """Return the denoiser (x_t, t, z) to eps for fixed conditions and codes, as samplers call it."""
        return lambda x_t, t, z: self(x_t, t, conditions, z, shape, identity)
