"""The compact diffusion autoencoder of facebench: small enough to train and run without a graphics card.

It differs from DiffAE in five points. The U-Net processes patches and receives position features. The code gives a
shift besides the scale. The U-Net predicts v. A coarse decoder draws a blurred face from z_sem, and the U-Net receives
this face. Diffusion applies to the residual between the face and the coarse face.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

import torch
from pydantic import AliasChoices, Field
from torch import Tensor, nn
from torch.nn import functional

from facebench.core.errors import InputError
from facebench.training.diffusion import ddim_decode, ddim_encode, eps_from_v
from facebench.training.models.compact_unet import CompactUNet, set_group_count, use_batch_norm
from facebench.training.models.config import NetworkConfig
from facebench.training.models.diffae import SemanticEncoder

RESIDUAL_SCALE = 3.0
"""Factor on residuals: their standard deviation is about 0.12, and the schedule was made for faces with 0.36."""
COARSEST = 4
"""Side of the coarse decoder's first feature map."""


class CompactAutoencoderConfig(NetworkConfig):
    """Configuration of a compact autoencoder; the defaults give the network of DiffAE."""

    size: int = Field(..., gt=0)
    multipliers: tuple[int, ...]
    """Widths of the U-Net's levels relative to `channels`."""
    encoder_multipliers: tuple[int, ...]
    """Widths of the semantic encoder's levels relative to `channels`."""
    channels: int = Field(128, gt=0)
    time_channels: int = Field(512, gt=0)
    code_channels: int = Field(512, gt=0)
    blocks: int = Field(2, gt=0)
    attention: tuple[int, ...] = (16,)
    """Sizes of feature maps, after patching, with self-attention."""
    dropout: float = Field(0.1, ge=0, lt=1)
    groups: int = Field(32, gt=0)
    """Groups of the group normalisation; narrow networks need fewer than 32."""
    encoder_norm: Literal["group", "batch"] = "group"
    """Normalisation of the semantic encoder; `batch` suits small encoders that learn labels."""
    code_shift: bool = False
    """z_sem gives a shift of the U-Net's features besides the scale."""
    patch: int = Field(1, gt=0)
    """Side of the patches of pixels that the U-Net processes as one position; larger is faster and coarser."""
    position_features: bool = Field(False, validation_alias=AliasChoices("position_features", "positions"))
    """Give the U-Net learnt features of the position."""
    prediction_type: Literal["eps", "v"] = Field(
        "eps", validation_alias=AliasChoices("prediction_type", "predicts")
    )
    """Output of the U-Net; small networks learn v in fewer steps."""
    coarse_decoder: bool = Field(False, validation_alias=AliasChoices("coarse_decoder", "draft"))
    """Decode a coarse face from z_sem, and give it to the U-Net as a condition."""
    residual_diffusion: bool = Field(False, validation_alias=AliasChoices("residual_diffusion", "refines"))
    """Diffuse the residual of the coarse face, so that an edit of z_sem changes at least the coarse face."""


class CompactAutoencoder(nn.Module):
    """Diffusion autoencoder with the interface of `DiffAE`.

    Source: Preechakul et al. 2022 (DiffAE); Salimans & Ho 2022 (v); Whang et al. 2022, "Deblurring via stochastic
    refinement", section 3.2 (residual diffusion).

    Example:
        >>> config = CompactAutoencoderConfig(
        ...     size=16, multipliers=(1, 2), encoder_multipliers=(1, 2), channels=8, code_channels=16, patch=2,
        ...     prediction_type="v", coarse_decoder=True, residual_diffusion=True)
        >>> model = CompactAutoencoder(config).eval()
        >>> z_sem = model.encode(torch.zeros(1, 3, 16, 16))
        >>> model.decode(torch.zeros(1, 3, 16, 16), z_sem, steps=10).shape
        torch.Size([1, 3, 16, 16])
    """

    def __init__(self, config: CompactAutoencoderConfig) -> None:
        super().__init__()
        if config.residual_diffusion and not config.coarse_decoder:
            raise InputError(
                "model.residual_diffusion needs a coarse decoder. Set model.coarse_decoder=true, or leave it out."
            )
        self.config = config
        self.unet = CompactUNet(
            config.size,
            config.channels,
            config.multipliers,
            in_channels=6 if config.coarse_decoder else 3,
            time_channels=config.time_channels,
            code_channels=config.code_channels,
            code_shift=config.code_shift,
            blocks=config.blocks,
            attention=config.attention,
            dropout=config.dropout,
            groups=config.groups,
            patch=config.patch,
            position_features=config.position_features,
        )
        self.encoder = SemanticEncoder(
            config.size,
            config.channels,
            config.encoder_multipliers,
            config.code_channels,
            blocks=config.blocks,
            attention=config.attention,
        )
        if config.encoder_norm == "batch":
            use_batch_norm(self.encoder)
        else:
            set_group_count(self.encoder, config.groups)
        self.decoder = CoarseDecoder(config.size, config.code_channels) if config.coarse_decoder else None

    def train(self, mode: bool = True) -> CompactAutoencoder:
        """Set the mode; a frozen encoder or decoder stays in evaluation mode and keeps its batch statistics."""
        super().train(mode)
        for part in (self.encoder, self.decoder):
            if part is not None and not any(value.requires_grad for value in part.parameters()):
                part.eval()
        return self

    def encode(self, x_0: Tensor) -> Tensor:
        """Encode faces (n, 3, size, size) in [-1, 1] to z_sem (n, code_channels)."""
        z_sem: Tensor = self.encoder(x_0)
        return z_sem

    def forward(self, x_t: Tensor, t: Tensor, z_sem: Tensor) -> Tensor:
        """Predict eps of x_t (n, 3, size, size) at timesteps t (n,), given z_sem (n, code_channels)."""
        conditioned = x_t if self.decoder is None else torch.cat([x_t, self.decoder(z_sem)], dim=1)
        prediction: Tensor = self.unet(conditioned, t, z_sem)
        return prediction if self.config.prediction_type == "eps" else eps_from_v(x_t, t, prediction)

    def encode_stochastic(self, x_0: Tensor, z_sem: Tensor, steps: int) -> Tensor:
        """Encode faces (n, 3, size, size) to x_T of the same shape, by reverse DDIM."""
        target = self.diffusion_target(x_0, z_sem)
        return ddim_encode(self, target, z_sem, steps, clip=not self.config.residual_diffusion)

    def decode(self, x_T: Tensor, z_sem: Tensor, steps: int) -> Tensor:
        """Decode x_T (n, 3, size, size) and z_sem (n, code_channels) to faces in [-1, 1], by DDIM."""
        target = ddim_decode(self, x_T, z_sem, steps, clip=not self.config.residual_diffusion)
        with torch.no_grad():
            return self.face_of(target, z_sem).clamp(-1, 1)

    def diffusion_target(self, x_0: Tensor, z_sem: Tensor) -> Tensor:
        """Compute what diffusion adds noise to: the scaled residual of the coarse face, or the face itself."""
        if self.decoder is None or not self.config.residual_diffusion:
            return x_0
        residual: Tensor = RESIDUAL_SCALE * (x_0 - self.decoder(z_sem))
        return residual

    def face_of(self, target: Tensor, z_sem: Tensor) -> Tensor:
        """Compute the face of a diffusion target; the inverse of `diffusion_target`."""
        if self.decoder is None or not self.config.residual_diffusion:
            return target
        face: Tensor = target / RESIDUAL_SCALE + self.decoder(z_sem)
        return face


class CoarseDecoder(nn.Module):
    """Decode z_sem to a coarse face, which is blurred where z_sem leaves the face open.

    Args:
        size: side of the faces, four times a power of two.
        code_channels: width of the code.
    """

    def __init__(self, size: int, code_channels: int) -> None:
        super().__init__()
        side = size // 2
        levels = (side // COARSEST).bit_length() - 1
        widths = [max(128 >> level, 32) for level in range(levels + 1)]
        self.width = widths[0]
        self.spread = nn.Linear(code_channels, widths[0] * COARSEST**2)
        layers: list[nn.Module] = []
        for width, next_width in pairwise(widths):
            layers += [nn.Upsample(scale_factor=2), nn.Conv2d(width, next_width, 3, padding=1)]
            layers += [nn.BatchNorm2d(next_width), nn.SiLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 12, 3, padding=1), nn.PixelShuffle(2))

    def forward(self, z_sem: Tensor) -> Tensor:
        """Decode codes (n, code_channels) to faces (n, 3, size, size), about -1 to 1."""
        h = functional.silu(self.spread(z_sem)).view(-1, self.width, COARSEST, COARSEST)
        face: Tensor = self.layers(h)
        return face
