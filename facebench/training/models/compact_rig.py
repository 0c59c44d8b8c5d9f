"""The compact rig of facebench: a small DiffusionRig that trains without a graphics card.

It differs from DiffusionRig in three points. The U-Net processes patches and receives position features. It can predict
v, or the change from the rendered face to the photo. Group normalisation has fewer groups.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from pydantic import AliasChoices, Field
from torch import Tensor, nn

from facebench.training.diffusion import eps_from_v, eps_from_x_0
from facebench.training.models.compact_unet import CompactUNet
from facebench.training.models.config import NetworkConfig
from facebench.training.models.diffusionrig import BUFFER_CHANNELS, resnet_encoder

PredictionType = Literal["eps", "v", "change"]
"""Output of the U-Net: eps, v, or the change from the rendered face to the photo."""


class CompactRigConfig(NetworkConfig):
    """Configuration of a compact rig; the defaults give the network of DiffusionRig."""

    size: int = Field(..., gt=0)
    multipliers: tuple[int, ...]
    """Widths of the U-Net's levels relative to `channels`."""
    encoder: Literal["resnet18", "resnet50"] = "resnet18"
    channels: int = Field(128, gt=0)
    time_channels: int = Field(512, gt=0)
    code_channels: int = Field(64, gt=0)
    blocks: int = Field(2, gt=0)
    attention: tuple[int, ...] = (16,)
    """Sizes of feature maps, after patching, with self-attention."""
    dropout: float = Field(0.1, ge=0, lt=1)
    groups: int = Field(32, gt=0)
    """Groups of the group normalisation; narrow networks need fewer than 32."""
    patch: int = Field(1, gt=0)
    """Side of the patches of pixels that the U-Net processes as one position; larger is faster and coarser."""
    position_features: bool = Field(False, validation_alias=AliasChoices("position_features", "positions"))
    """Give the U-Net learnt features of the position."""
    prediction_type: PredictionType = Field(
        "eps", validation_alias=AliasChoices("prediction_type", "predicts")
    )
    """Output of the U-Net; small networks learn the change in the fewest steps, because neither the noise nor the face
    has to pass through all layers."""


class CompactRig(nn.Module):
    """Small denoiser with the interface of `DiffusionRig`.

    Source: Ding et al. 2023 (DiffusionRig); Salimans & Ho 2022 (v).

    Example:
        >>> config = CompactRigConfig(size=16, multipliers=(1, 2), channels=8, patch=2, prediction_type="change")
        >>> model = CompactRig(config).eval()
        >>> photo, buffers = torch.zeros(1, 3, 16, 16), torch.zeros(1, 9, 16, 16)
        >>> model(photo, torch.tensor([3]), buffers, model.encode(photo)).shape
        torch.Size([1, 3, 16, 16])
    """

    extra_codes: tuple[str, ...] = ()
    """Codes that `driven_by` takes after the conditions."""

    def __init__(self, config: CompactRigConfig) -> None:
        super().__init__()
        self.config = config
        self.unet = CompactUNet(
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
            groups=config.groups,
            patch=config.patch,
            position_features=config.position_features,
        )
        self.encoder = resnet_encoder(config.encoder, config.code_channels)

    def encode(self, photo: Tensor) -> Tensor:
        """Encode clean photos (n, 3, size, size) in [-1, 1] to codes z (n, code_channels)."""
        z: Tensor = self.encoder(photo)
        return z

    def forward(self, x_t: Tensor, t: Tensor, conditions: Tensor, z: Tensor) -> Tensor:
        """Predict eps; the arguments are those of `DiffusionRig.forward`."""
        prediction: Tensor = self.unet(torch.cat([x_t, conditions], dim=1), t, z)
        match self.config.prediction_type:
            case "v":
                return eps_from_v(x_t, t, prediction)
            case "change":
                rendered = conditions[:, :3] * 2 - 1
                return eps_from_x_0(x_t, t, rendered + prediction)
        return prediction

    def driven_by(self, conditions: Tensor) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
        """Return the denoiser (x_t, t, z) to eps for fixed conditions (n, 9, size, size), as samplers call it."""
        return lambda x_t, t, z: self(x_t, t, conditions, z)
