"""The few layers that every diffusion network here is made of.

The blocks of Dhariwal & Nichol 2021 ("Diffusion models beat GANs", appendix A), with the second modulation
by a code of Preechakul et al. 2022 (DiffAE, eq. 7) and Ding et al. 2023 (DiffusionRig).
"""

from __future__ import annotations

import math
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

Resample = Literal["down", "up"]
Norm = Literal["group", "batch"]


def sinusoid(t: Tensor, channels: int) -> Tensor:
    """Embed timesteps as cosines then sines, with periods from 2π to 20000π.

    The frequencies are formed in float32 as the official networks do: at t = 999 their last bit moves the
    phase by 1e-4, more than the parity of whole networks leaves room for.

    Args:
        t: (n,) timesteps on the original scale 0..T-1.
        channels: even number of outputs.

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


def position_features(channels: int, side: int) -> Tensor:
    """Sinusoids of the column in the first half of the channels, of the row in the second, (1, channels, side, side).

    Example:
        >>> position_features(8, 4)[0, :, 0, 3].shape
        torch.Size([8])
    """
    waves = sinusoid(torch.arange(side), channels // 2).T
    columns = waves[:, None, :].expand(-1, side, -1)
    rows = waves[:, :, None].expand(-1, -1, side)
    return torch.cat([columns, rows])[None].clone()


def time_embedding(channels: int, out_channels: int) -> nn.Sequential:
    """Two linear layers that every block's time modulation reads."""
    return nn.Sequential(nn.Linear(channels, out_channels), nn.SiLU(), nn.Linear(out_channels, out_channels))


def group_norm(channels: int) -> nn.GroupNorm:
    """Group normalisation in 32 groups, or the most that divide the width of a small network."""
    return nn.GroupNorm(math.gcd(32, channels), channels)


def regroup(network: nn.Module, groups: int) -> None:
    """Normalise in `groups` groups everywhere, or the most that divide a layer's width.

    The official 32 leave narrow networks one channel a group, which takes the mean colour out of every layer.
    """
    for layer in network.modules():
        if isinstance(layer, nn.GroupNorm):
            layer.num_groups = math.gcd(groups, layer.num_channels)


def normalise_by_batch(network: nn.Module) -> None:
    """Put batch normalisation wherever there is group normalisation.

    What is learnt from labels by a narrow encoder, it learns an order of magnitude sooner.
    """
    for module in list(network.modules()):
        for name, layer in list(module.named_children()):
            if isinstance(layer, nn.GroupNorm):
                norm = nn.BatchNorm1d if isinstance(module, Attention) else nn.BatchNorm2d
                setattr(module, name, norm(layer.num_channels))


def zeroed(layer: nn.Conv1d | nn.Conv2d) -> nn.Conv1d | nn.Conv2d:
    """Start a residual branch at zero, so that every block begins as the identity."""
    nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        nn.init.zeros_(layer.bias)
    return layer


def modulate(h: Tensor, affine: Tensor) -> Tensor:
    """Scale, and shift where `affine` is twice as wide as h: h (1 + scale) + shift; the scale comes first."""
    channels = h.shape[1]
    h = h * (1 + affine[:, :channels, None, None])
    return h if affine.shape[1] == channels else h + affine[:, channels:, None, None]


class ResidualBlock(nn.Module):
    """What both kinds of block share: normalise, activate, resize, convolve; and a fitting shortcut."""

    def __init__(self, channels: int, out_channels: int, resample: Resample | None = None) -> None:
        super().__init__()
        self.resample = resample
        self.norm_1 = group_norm(channels)
        self.conv_1 = nn.Conv2d(channels, out_channels, 3, padding=1)
        self.skip = nn.Identity() if channels == out_channels else nn.Conv2d(channels, out_channels, 1)

    def first_half(self, x: Tensor) -> Tensor:
        """Return conv(resize(SiLU(norm(x))))."""
        h: Tensor = self.conv_1(self._resized(functional.silu(self.norm_1(x))))
        return h

    def shortcut(self, x: Tensor) -> Tensor:
        """Return x in the size and width of the output."""
        out: Tensor = self.skip(self._resized(x))
        return out

    def _resized(self, x: Tensor) -> Tensor:
        if self.resample == "down":
            return functional.avg_pool2d(x, 2)
        if self.resample == "up":
            return functional.interpolate(x, scale_factor=2, mode="nearest")
        return x


class PlainBlock(ResidualBlock):
    """Residual block of an encoder: no conditions, and no second convolution."""

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, h, w) to (n, out, h', w')."""
        return self.shortcut(x) + self.first_half(x)


class ModulatedBlock(ResidualBlock):
    """Residual block of a denoiser: its second normalisation is modulated by the time, then by the code.

    The code gives a scale only (DiffAE), or a scale and a shift (`code_shift`, DiffusionRig). Without
    `code_channels` it is the block of a plain diffusion model.
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
        """Map (n, c, h, w), the time embedding and the code to (n, out, h', w')."""
        h = modulate(self.norm_2(self.first_half(x)), self.from_time(functional.silu(time)))
        if self.from_code is not None and code is not None:
            h = modulate(h, self.from_code(functional.silu(code)))
        out: Tensor = self.shortcut(x) + self.conv_2(self.dropout(functional.silu(h)))
        return out


class Attention(nn.Module):
    """Self-attention over all positions with one head, as a residual."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.norm = group_norm(channels)
        self.qkv = nn.Conv1d(channels, 3 * channels, 1)
        self.proj = zeroed(nn.Conv1d(channels, channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        """Map (n, c, h, w) to the same shape."""
        flat = x.flatten(2)
        query, key, value = self.qkv(self.norm(flat)).transpose(1, 2).chunk(3, dim=2)
        mixed = functional.scaled_dot_product_attention(query, key, value)
        out: Tensor = flat + self.proj(mixed.transpose(1, 2))
        return out.view_as(x)


class Stage(nn.ModuleList):
    """Layers in a row, of which only the modulated blocks read time and code."""

    def forward(self, x: Tensor, time: Tensor, code: Tensor | None) -> Tensor:
        """Pass x through every layer."""
        for layer in self:
            x = layer(x, time, code) if isinstance(layer, ModulatedBlock) else layer(x)
        return x
