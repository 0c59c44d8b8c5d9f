"""The diffusion autoencoder: a semantic encoder and a U-Net that is told the code."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from facebench.core.errors import InputError
from facebench.training.diffusion import eps_from_v
from facebench.training.models.layers import Norm
from facebench.training.models.unet import SemanticDecoder, SemanticEncoder, UNet


@dataclass(frozen=True)
class DiffAEConfig:
    """Sizes of a diffusion autoencoder; the defaults are those of the official FFHQ models."""

    size: int
    multipliers: tuple[int, ...]
    encoder_multipliers: tuple[int, ...]
    channels: int = 128
    time_channels: int = 512
    code_channels: int = 512
    blocks: int = 2
    attention: tuple[int, ...] = (16,)
    dropout: float = 0.1
    groups: int = 32
    encoder_norm: Norm = "group"
    code_shift: bool = False
    patch: int = 1
    positions: bool = False
    predicts: Literal["eps", "v"] = "eps"
    draft: bool = False
    refines: bool = False


ENLARGED = 3.0
"""What drafts lack deviates by about 0.12, faces by 0.36: enlarged, the noise schedule fits both."""
FFHQ128 = DiffAEConfig(128, (1, 1, 2, 3, 4), (1, 1, 2, 3, 4, 4))
FFHQ256 = DiffAEConfig(256, (1, 1, 2, 2, 4, 4), (1, 1, 2, 2, 4, 4, 4))
TINY = DiffAEConfig(32, (1, 2), (1, 2, 2), channels=32, time_channels=64, code_channels=64)


class DiffAE(nn.Module):
    """Diffusion autoencoder: z_sem holds what the face means, x_T what is left to chance.

    `encode` gives z_sem; calling the model predicts eps. The stochastic code x_T and the picture come from
    `facebench.training.diffusion.ddim_encode` and `ddim_decode`.

    Source: Preechakul et al. 2022, "Diffusion autoencoders".

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
        if config.refines and not config.draft:
            raise InputError(
                "model.refines is about what a draft lacks. Set model.draft=true, or leave it out."
            )
        self.config = config
        self.unet = UNet(
            config.size,
            config.channels,
            config.multipliers,
            in_channels=6 if config.draft else 3,
            time_channels=config.time_channels,
            code_channels=config.code_channels,
            code_shift=config.code_shift,
            blocks=config.blocks,
            attention=config.attention,
            dropout=config.dropout,
            groups=config.groups,
            patch=config.patch,
            positions=config.positions,
        )
        self.encoder = SemanticEncoder(
            config.size,
            config.channels,
            config.encoder_multipliers,
            config.code_channels,
            blocks=config.blocks,
            attention=config.attention,
            groups=config.groups,
            norm=config.encoder_norm,
        )
        self.decoder = SemanticDecoder(config.size, config.code_channels) if config.draft else None

    def train(self, mode: bool = True) -> DiffAE:
        """Set the mode of everything but a frozen encoder and decoder, whose statistics are no longer taken."""
        super().train(mode)
        for part in (self.encoder, self.decoder):
            if part is not None and not any(value.requires_grad for value in part.parameters()):
                part.eval()
        return self

    def encode(self, x: Tensor) -> Tensor:
        """Map clean images (n, 3, size, size) in [-1, 1] to z_sem (n, code_channels)."""
        z_sem: Tensor = self.encoder(x)
        return z_sem

    def to_diffused(self, x_0: Tensor, z_sem: Tensor) -> Tensor:
        """What noise is added to, (n, 3, size, size): the faces x_0, or what the drafts of z_sem lack, enlarged.

        Source: Whang et al. 2022, "Deblurring via stochastic refinement", section 3.2, for diffusing what a
        deterministic prediction lacks.
        """
        if self.decoder is None or not self.config.refines:
            return x_0
        lacking: Tensor = ENLARGED * (x_0 - self.decoder(z_sem))
        return lacking

    def to_faces(self, diffused: Tensor, z_sem: Tensor) -> Tensor:
        """The faces (n, 3, size, size) that what was diffused belongs to; the inverse of `to_diffused`."""
        if self.decoder is None or not self.config.refines:
            return diffused
        faces: Tensor = diffused / ENLARGED + self.decoder(z_sem)
        return faces

    def forward(self, x_t: Tensor, t: Tensor, z_sem: Tensor) -> Tensor:
        """Predict eps of x_t (n, 3, size, size) at timesteps t (n,) of faces z_sem (n, code_channels)."""
        seen = x_t if self.decoder is None else torch.cat([x_t, self.decoder(z_sem)], dim=1)
        predicted: Tensor = self.unet(seen, t, z_sem)
        return predicted if self.config.predicts == "eps" else eps_from_v(x_t, t, predicted)
