"""DiffAE: a semantic encoder, and a U-Net that is conditioned on the semantic code.

Source: Preechakul et al. 2022, "Diffusion autoencoders: toward a meaningful and decodable representation".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, cast

from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from facebench.training.diffusion import ddim_decode, ddim_encode
from facebench.training.models.config import NetworkConfig
from facebench.training.models.layers import Attention, PlainBlock, Stage, group_norm
from facebench.training.models.unet import UNet, contracting_path


class DiffAEConfig(NetworkConfig):
    """Configuration of a DiffAE; the defaults are those of the official FFHQ models."""

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
    dropout: float = Field(0.1, ge=0, lt=1)

    REMOVED: ClassVar[Mapping[str, Any]] = {
        "groups": 32,
        "encoder_norm": "group",
        "code_shift": False,
        "patch": 1,
        "positions": False,
        "predicts": "eps",
        "draft": False,
        "refines": False,
    }
    """Options that moved to `CompactAutoencoderConfig`, with the values that give the network of the paper."""


FFHQ128 = DiffAEConfig(size=128, multipliers=(1, 1, 2, 3, 4), encoder_multipliers=(1, 1, 2, 3, 4, 4))
FFHQ256 = DiffAEConfig(size=256, multipliers=(1, 1, 2, 2, 4, 4), encoder_multipliers=(1, 1, 2, 2, 4, 4, 4))
TINY = DiffAEConfig(
    size=32,
    multipliers=(1, 2),
    encoder_multipliers=(1, 2, 2),
    channels=32,
    time_channels=64,
    code_channels=64,
)


class DiffAE(nn.Module):
    """Diffusion autoencoder: z_sem encodes the semantics of a face, x_T its stochastic details.

    The semantic encoder gives z_sem (`encode`). The denoiser (calling the model) predicts eps given z_sem. DDIM with
    this denoiser gives the stochastic code x_T of a face (`encode_stochastic`), and the face of both codes (`decode`).

    Example:
        >>> import torch
        >>> model = DiffAE(TINY).eval()
        >>> x = torch.zeros(1, 3, 32, 32)
        >>> z_sem = model.encode(x)
        >>> z_sem.shape, model(x, torch.tensor([500]), z_sem).shape
        (torch.Size([1, 64]), torch.Size([1, 3, 32, 32]))
    """

    def __init__(self, config: DiffAEConfig) -> None:
        super().__init__()
        self.config = config
        self.unet = UNet(
            config.size,
            config.channels,
            config.multipliers,
            time_channels=config.time_channels,
            code_channels=config.code_channels,
            blocks=config.blocks,
            attention=config.attention,
            dropout=config.dropout,
        )
        self.encoder = SemanticEncoder(
            config.size,
            config.channels,
            config.encoder_multipliers,
            config.code_channels,
            blocks=config.blocks,
            attention=config.attention,
        )

    def encode(self, x_0: Tensor) -> Tensor:
        """Encode faces (n, 3, size, size) in [-1, 1] to z_sem (n, code_channels)."""
        z_sem: Tensor = self.encoder(x_0)
        return z_sem

    def forward(self, x_t: Tensor, t: Tensor, z_sem: Tensor) -> Tensor:
        """Predict eps of x_t (n, 3, size, size) at timesteps t (n,), given z_sem (n, code_channels)."""
        eps: Tensor = self.unet(x_t, t, z_sem)
        return eps

    def encode_stochastic(self, x_0: Tensor, z_sem: Tensor, steps: int) -> Tensor:
        """Encode faces (n, 3, size, size) to x_T of the same shape, by reverse DDIM; see equation 8."""
        return ddim_encode(self, x_0, z_sem, steps)

    def decode(self, x_T: Tensor, z_sem: Tensor, steps: int) -> Tensor:
        """Decode x_T (n, 3, size, size) and z_sem (n, code_channels) to faces in [-1, 1], by DDIM; see equation 4."""
        return ddim_decode(self, x_T, z_sem, steps).clamp(-1, 1)


class SemanticEncoder(nn.Module):
    """Encode faces in [-1, 1] to semantic codes: the contracting path of a U-Net without time, then pooling.

    Pooling is group normalisation, SiLU, the mean over positions, and a 1x1 convolution.

    Source: Preechakul et al. 2022, section 3.2.
    """

    def __init__(
        self,
        size: int,
        channels: int,
        multipliers: Sequence[int],
        code_channels: int,
        *,
        blocks: int = 2,
        attention: Sequence[int] = (16,),
    ) -> None:
        super().__init__()
        self.down, widths = contracting_path(size, channels, multipliers, 3, blocks, attention, PlainBlock)
        width = widths[-1]
        self.middle = nn.Sequential(PlainBlock(width, width), Attention(width), PlainBlock(width, width))
        self.out_norm = group_norm(width)
        self.to_code = nn.Conv2d(width, code_channels, 1)

    def forward(self, x_0: Tensor) -> Tensor:
        """Encode faces (n, 3, size, size) in [-1, 1] to z_sem (n, code_channels)."""
        h = x_0
        for stage in self.down:
            for layer in cast(Stage, stage):
                h = layer(h)
        pooled = functional.silu(self.out_norm(self.middle(h))).mean(dim=(2, 3), keepdim=True)
        z_sem: Tensor = self.to_code(pooled).flatten(1)
        return z_sem
