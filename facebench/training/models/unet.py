"""The U-Net that predicts eps, and the contracting path that it shares with encoders."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from facebench.core.errors import InputError
from facebench.training.models.layers import (
    Attention,
    ModulatedBlock,
    Resample,
    ResidualBlock,
    Stage,
    group_norm,
    sinusoid,
    time_embedding,
    zeroed,
)


class UNet(nn.Module):
    """Predict eps from a noisy image, its timestep and, optionally, a code.

    The same network serves the unconditional diffusion model (no code), DiffAE (the code gives a scale) and
    DiffusionRig (the code gives scale and shift, and the input has nine more channels).

    Args:
        size: height and width of the images; `attention` refers to sizes of feature maps.
        channels: width of the first level.
        multipliers: width of each level relative to `channels`; each further level halves the size.
        in_channels: channels of the input, conditions included.
        out_channels: channels of the prediction.
        time_channels: width of the time embedding.
        code_channels: width of the code; None for a model without one.
        code_shift: the code gives a shift besides the scale.
        blocks: residual blocks per level in the contracting path; the expanding path has one more.
        attention: sizes at which self-attention follows each block; the middle always has attention.
        dropout: dropout probability in the residual blocks.

    Source: Dhariwal & Nichol 2021, table 4; Preechakul et al. 2022, appendix A; Ding et al. 2023, section 3.
    """

    def __init__(
        self,
        size: int,
        channels: int,
        multipliers: Sequence[int],
        *,
        in_channels: int = 3,
        out_channels: int = 3,
        time_channels: int = 512,
        code_channels: int | None = None,
        code_shift: bool = False,
        blocks: int = 2,
        attention: Sequence[int] = (16,),
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.code_channels = code_channels
        self.time = time_embedding(channels, time_channels)

        def block(fan_in: int, fan_out: int, resample: Resample | None = None) -> ModulatedBlock:
            return ModulatedBlock(
                fan_in,
                fan_out,
                resample,
                time_channels=time_channels,
                code_channels=code_channels,
                code_shift=code_shift,
                dropout=dropout,
            )

        self.down, skip_widths = contracting_path(
            size, channels, multipliers, in_channels, blocks, attention, block
        )
        width = skip_widths[-1]
        self.middle = Stage([block(width, width), Attention(width), block(width, width)])
        self.up = nn.ModuleList()
        for level in reversed(range(len(multipliers))):
            level_width = channels * multipliers[level]
            for index in range(blocks + 1):
                layers: list[nn.Module] = [block(width + skip_widths.pop(), level_width)]
                if size >> level in attention:
                    layers.append(Attention(level_width))
                if level > 0 and index == blocks:
                    layers.append(block(level_width, level_width, "up"))
                self.up.append(Stage(layers))
                width = level_width
        self.out_norm = group_norm(width)
        self.out_conv = zeroed(nn.Conv2d(width, out_channels, 3, padding=1))

    def forward(self, x_t: Tensor, t: Tensor, code: Tensor | None = None) -> Tensor:
        """Predict eps.

        Args:
            x_t: (n, in_channels, size, size) noisy images, concatenated with conditions if there are any.
            t: (n,) timesteps on the original scale.
            code: (n, code_channels), or None for a model without a code.

        Returns:
            eps, (n, out_channels, size, size).

        Raises:
            InputError: a code is missing, or is given to a model without one.
        """
        if (code is None) != (self.code_channels is None):
            expected = "no code" if self.code_channels is None else f"a code of {self.code_channels} numbers"
            raise InputError(f"This denoiser takes {expected}.")
        time = self.time(sinusoid(t, self.channels))
        h = self.input_features(x_t)
        skips = [h]
        for stage in list(self.down)[1:]:
            h = stage(h, time, code)
            skips.append(h)
        h = self.middle(h, time, code)
        for stage in self.up:
            h = stage(torch.cat([h, skips.pop()], dim=1), time, code)
        eps: Tensor = self.out_conv(functional.silu(self.out_norm(h)))
        return eps

    def input_features(self, x_t: Tensor) -> Tensor:
        """Apply the first convolution, (n, in_channels, size, size) to (n, width, size, size)."""
        (convolution,) = cast(Stage, self.down[0])
        features: Tensor = convolution(x_t)
        return features


def contracting_path(
    size: int,
    channels: int,
    multipliers: Sequence[int],
    in_channels: int,
    blocks: int,
    attention: Sequence[int],
    block: Callable[[int, int, Resample | None], ResidualBlock],
) -> tuple[nn.ModuleList, list[int]]:
    """Build the contracting path, and the output width of each of its stages for the skip connections."""
    width = channels * multipliers[0]
    stages = nn.ModuleList([Stage([nn.Conv2d(in_channels, width, 3, padding=1)])])
    widths = [width]
    for level, multiplier in enumerate(multipliers):
        for _ in range(blocks):
            layers: list[nn.Module] = [block(width, channels * multiplier, None)]
            width = channels * multiplier
            if size >> level in attention:
                layers.append(Attention(width))
            stages.append(Stage(layers))
            widths.append(width)
        if level < len(multipliers) - 1:
            stages.append(Stage([block(width, width, "down")]))
            widths.append(width)
    return stages, widths
