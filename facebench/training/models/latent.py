"""The latent diffusion model, which samples z_sem: a multilayer perceptron with skip connections from its input."""

from __future__ import annotations

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn import functional

from facebench.training.models.config import NetworkConfig
from facebench.training.models.layers import sinusoid, time_embedding


class LatentDPMConfig(NetworkConfig):
    """Configuration of the latent model; the defaults are those of both official FFHQ models."""

    code_channels: int = Field(512, gt=0)
    hidden: int = Field(2048, gt=0)
    layers: int = Field(10, gt=1)
    sinusoid_channels: int = Field(64, gt=0)
    time_channels: int = Field(512, gt=0)


class LatentLayer(nn.Module):
    """Linear layer whose output is scaled by the time embedding, without a shift, and then normalised."""

    def __init__(self, channels: int, out_channels: int, time_channels: int) -> None:
        super().__init__()
        self.linear = nn.Linear(channels, out_channels)
        self.from_time = nn.Linear(time_channels, out_channels)
        self.norm = nn.LayerNorm(out_channels)

    def forward(self, h: Tensor, time: Tensor) -> Tensor:
        """Map (n, channels) to (n, out_channels)."""
        h = self.linear(h) * (1 + self.from_time(functional.silu(time)))
        return functional.silu(self.norm(h))


class LatentDPM(nn.Module):
    """Predict eps of a noisy semantic code, for sampling new faces.

    Codes are normalised to mean 0 and standard deviation 1. Every layer but the first receives the input again.

    Source: Preechakul et al. 2022, section 4.1 and appendix A.1.

    Example:
        >>> model = LatentDPM(LatentDPMConfig(code_channels=8, hidden=16, layers=3))
        >>> model(torch.zeros(2, 8), torch.tensor([0, 999])).shape
        torch.Size([2, 8])
    """

    def __init__(self, config: LatentDPMConfig) -> None:
        super().__init__()
        self.config = config
        code, hidden = config.code_channels, config.hidden
        self.time = time_embedding(config.sinusoid_channels, config.time_channels)
        self.layers = nn.ModuleList(
            LatentLayer(code if index == 0 else hidden + code, hidden, config.time_channels)
            for index in range(config.layers - 1)
        )
        self.out = nn.Linear(hidden + code, code)

    def forward(self, z_t: Tensor, t: Tensor) -> Tensor:
        """Predict eps of normalised codes z_t (n, code_channels) at timesteps t (n,)."""
        time = self.time(sinusoid(t, self.config.sinusoid_channels))
        h = z_t
        for index, layer in enumerate(self.layers):
            h = layer(h if index == 0 else torch.cat([h, z_t], dim=1), time)
        eps: Tensor = self.out(torch.cat([h, z_t], dim=1))
        return eps
