"""Layers of the diffusion networks.

Residual and attention blocks follow Dhariwal & Nichol 2021 ("Diffusion models beat GANs", appendix A). The modulation
by a code follows Preechakul et al. 2022 (DiffAE, eq. 7) and Ding et al. 2023 (DiffusionRig).
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Resample = Literal["down", "up"]


def sinusoid(t: Tensor, channels: int) -> Tensor:
    """Embed timesteps as cosines, then sines, with periods from 2π to 20000π.

    Frequencies are computed in float32, like the official networks do. At t = 999 their last bit changes the phase by
    1e-4, which exceeds the tolerance of the parity tests.

    Args:
        t: (n,) timesteps on the original scale 0..T-1.
        channels: number of outputs, even.

    Returns:
        (n, channels) float32.

    Example:
        >>> sinusoid(torch.tensor([0]), 4)
        tensor([[1., 1., 0., 0.]])
    """
    half = channels // 2
    ramp = torch.arange(half, dtype=torch.float32, device=t.device)
    phase = t[:, None].float() * torch.exp(-math.log(10000) * ramp / half)[None]
    return torch.cat([phase.cos(), phase.sin()], dim=1)


def time_embedding(channels: int, out_channels: int) -> nn.Sequential:
    """Build the two linear layers that embed the timestep for all blocks."""
    return nn.Sequential(nn.Linear(channels, out_channels), nn.SiLU(), nn.Linear(out_channels, out_channels))


def group_norm(channels: int) -> nn.GroupNorm:
    """Build group normalisation with 32 groups, or the largest divisor of 32 that divides the width."""
    return nn.GroupNorm(math.gcd(32, channels), channels)


def zeroed(layer: nn.Conv1d | nn.Conv2d) -> nn.Conv1d | nn.Conv2d:
    """Initialise the last layer of a residual branch with zeros, so that the block starts as the identity."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def modulate(h: Tensor, affine: Tensor) -> Tensor:
    """Compute h (1 + scale) + shift; without a shift where `affine` is as wide as h. The scale comes first."""
    channels = h.shape[1]
    h = h * (1 + affine[:, :channels, None, None])
    return h if affine.shape[1] == channels else h + affine[:, channels:, None, None]


class ResidualBlock(nn.Module):
    """Base of both residual blocks: normalisation, activation, resizing, convolution, and the shortcut."""

    def __init__(self, channels: int, out_channels: int, resample: Resample | None = None) -> None:
        super().__init__()
        self.resample = resample
        self.norm_1 = group_norm(channels)
        self.conv_1 = nn.Conv2d(channels, out_channels, 3, padding=1)
        self.skip = nn.Identity() if channels == out_channels else nn.Conv2d(channels, out_channels, 1)

    def first_half(self, x: Tensor) -> Tensor:
        """Compute conv(resize(SiLU(norm(x))))."""
        h: Tensor = self.conv_1(self._resized(functional.silu(self.norm_1(x))))
        return h

    def shortcut(self, x: Tensor) -> Tensor:
        """Resize x and project it to the width of the output."""
        out: Tensor = self.skip(self._resized(x))
        return out

    def _resized(self, x: Tensor) -> Tensor:
        if self.resample == "down":
            return functional.avg_pool2d(x, 2)
        if self.resample == "up":
            return functional.interpolate(x, scale_factor=2, mode="nearest")
        return x


class PlainBlock(ResidualBlock):
    """Residual block of an encoder, with one convolution and no modulation."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, h, w) to (n, out, h', w')."""
        return self.shortcut(x) + self.first_half(x)


class ModulatedBlock(ResidualBlock):
    """Residual block of a denoiser; time and code modulate its second normalisation, in this order.

    The code gives a scale (DiffAE), or a scale and a shift (`code_shift`, DiffusionRig). Without `code_channels` this
    is the block of an unconditional diffusion model.
    """

    def __init__(
        self,
        channels: int,
        out_channels: int,
        resample: Resample | None = None,
        *,
        time_channels: int,
        code_channels: int | None,
        code_shift: bool,
        dropout: float,
    ) -> None:
        super().__init__(channels, out_channels, resample)
        self.from_time = nn.Linear(time_channels, 2 * out_channels)
        self.from_code: nn.Linear | None = None
        if code_channels is not None:
            self.from_code = nn.Linear(code_channels, (2 if code_shift else 1) * out_channels)
        self.norm_2 = group_norm(out_channels)
        self.dropout = nn.Dropout(dropout)
        self.conv_2 = zeroed(nn.Conv2d(out_channels, out_channels, 3, padding=1))

    def forward(self, x: Tensor, time: Tensor, code: Tensor | None) -> Tensor:
        """Map features (n, c, h, w), the time embedding and the code to (n, out, h', w')."""
        h = modulate(self.norm_2(self.first_half(x)), self.from_time(functional.silu(time)))
        if self.from_code is not None and code is not None:
            h = modulate(h, self.from_code(functional.silu(code)))
        out: Tensor = self.shortcut(x) + self.conv_2(self.dropout(functional.silu(h)))
        return out


class Attention(nn.Module):
    """Residual self-attention over all positions, with one head."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = group_norm(channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj = zeroed(nn.Conv1d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, h, w) to the same shape."""
        flat = x.flatten(2)
        query, key, value = self.qkv(self.norm(flat)).transpose(1, 2).chunk(3, dim=2)
        attended = functional.scaled_dot_product_attention(query, key, value)
        out: Tensor = flat + self.proj(attended.transpose(1, 2))
        return out.view_as(x)


class Stage(nn.ModuleList):
    """Sequence of layers; only modulated blocks receive time and code."""

    def forward(self, x: Tensor, time: Tensor, code: Tensor | None) -> Tensor:
        """Apply all layers to x."""
        for layer in self:
            x = layer(x, time, code) if isinstance(layer, ModulatedBlock) else layer(x)
        return x
