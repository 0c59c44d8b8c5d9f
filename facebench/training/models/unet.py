"""The U-Net that predicts eps, and the half U-Net that reads a face into its semantic code z_sem."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from facebench.core.errors import InputError
from facebench.training.models.layers import (
    Attention,
    ModulatedBlock,
    Norm,
    PlainBlock,
    Resample,
    ResidualBlock,
    Stage,
    group_norm,
    normalise_by_batch,
    position_features,
    regroup,
    sinusoid,
    time_embedding,
    zeroed,
)

SMALLEST = 4
"""Side of the map that a code is spread over."""


class UNet(nn.Module):
    """Predict eps from a noisy image, its timestep and, when the model has one, a code.

    One network serves the plain diffusion model (no code), DiffAE (the code scales) and DiffusionRig (the
    code scales and shifts, and the image comes with nine channels of physical buffers).

    Args:
        size: height and width of the images; with `patch` decides at which level `attention` sits.
        channels: width of the first level.
        multipliers: width of each level over `channels`; every further level halves the size.
        in_channels: of the image and whatever is stacked under it.
        time_channels: width of the time embedding.
        code_channels: width of the code; None for a model without one.
        code_shift: the code shifts as well as scales.
        blocks: residual blocks a level on the way down; one more on the way up.
        attention: sizes at which every block is followed by self-attention; the middle always has it.
        dropout: probability inside the blocks.
        groups: of the group normalisation; narrow networks want fewer than the official 32.
        patch: side of the squares of pixels that the network takes for one position with more channels; a small
            computer then spends its time on larger widths in place of larger maps.
        positions: features that tell each position where it is, learnt from sinusoids on. In pure noise a
            convolution knows no place but the border, and needs long to learn where the eyes are.

    Source: Dhariwal & Nichol 2021, table 4; Preechakul et al. 2022, appendix A; Ding et al. 2023, section 3; patches:
    Hoogeboom et al. 2023, "Simple diffusion", section 3.2.
    """

    def __init__(
        self,
        size: int,
        channels: int,
        multipliers: Sequence[int],
        *,
        in_channels: int = 3,
        time_channels: int = 512,
        code_channels: int | None = None,
        code_shift: bool = False,
        blocks: int = 2,
        attention: Sequence[int] = (16,),
        dropout: float = 0.1,
        groups: int = 32,
        patch: int = 1,
        positions: bool = False,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.patch = patch
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

        side = size // patch
        self.down, widths = contracting(
            side, channels, multipliers, in_channels * patch**2, blocks, attention, block
        )
        self.positions = nn.Parameter(position_features(widths[0], side)) if positions else None
        width = widths[-1]
        self.middle = Stage([block(width, width), Attention(width), block(width, width)])
        self.up = nn.ModuleList()
        for level in reversed(range(len(multipliers))):
            wanted = channels * multipliers[level]
            for index in range(blocks + 1):
                layers: list[nn.Module] = [block(width + widths.pop(), wanted)]
                if side >> level in attention:
                    layers.append(Attention(wanted))
                if level > 0 and index == blocks:
                    layers.append(block(wanted, wanted, "up"))
                self.up.append(Stage(layers))
                width = wanted
        self.out_norm = group_norm(width)
        self.out_conv = zeroed(nn.Conv2d(width, 3 * patch**2, 3, padding=1))
        regroup(self, groups)

    def forward(self, x_t: Tensor, t: Tensor, code: Tensor | None = None) -> Tensor:
        """Predict eps.

        Args:
            x_t: (n, in_channels, size, size) noisy images, any buffers stacked under them.
            t: (n,) timesteps on the original scale.
            code: (n, code_channels), or None for a model without a code.

        Returns:
            eps, (n, 3, size, size).

        Raises:
            InputError: a code is missing, or given to a model without one.
        """
        if (code is None) != (self.code_channels is None):
            wanted = "no code" if self.code_channels is None else f"a code of {self.code_channels} numbers"
            raise InputError(f"This denoiser takes {wanted}; call it accordingly.")
        time = self.time(sinusoid(t, self.channels))
        h = functional.pixel_unshuffle(x_t, self.patch)
        skips = []
        for number, stage in enumerate(self.down):
            h = stage(h, time, code)
            if number == 0 and self.positions is not None:
                h = h + self.positions
            skips.append(h)
        h = self.middle(h, time, code)
        for stage in self.up:
            h = stage(torch.cat([h, skips.pop()], dim=1), time, code)
        eps = self.out_conv(functional.silu(self.out_norm(h)))
        return functional.pixel_shuffle(eps, self.patch)


class SemanticEncoder(nn.Module):
    """Read clean images in [-1, 1] into codes: the contracting half of a U-Net without time.

    Source: Preechakul et al. 2022, section 3.2; the pooling is group norm, SiLU, mean and a 1x1 convolution.
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
        groups: int = 32,
        norm: Norm = "group",
    ) -> None:
        super().__init__()
        self.down, widths = contracting(size, channels, multipliers, 3, blocks, attention, PlainBlock)
        width = widths[-1]
        self.middle = nn.Sequential(PlainBlock(width, width), Attention(width), PlainBlock(width, width))
        self.out_norm = group_norm(width)
        self.to_code = nn.Conv2d(width, code_channels, 1)
        if norm == "batch":
            normalise_by_batch(self)
        else:
            regroup(self, groups)

    def forward(self, x: Tensor) -> Tensor:
        """Map images (n, 3, size, size) in [-1, 1] to z_sem (n, code_channels)."""
        for stage in self.down:
            for layer in cast(Stage, stage):
                x = layer(x)
        pooled = functional.silu(self.out_norm(self.middle(x))).mean(dim=(2, 3), keepdim=True)
        z_sem: Tensor = self.to_code(pooled).flatten(1)
        return z_sem


class SemanticDecoder(nn.Module):
    """Draft the face that a code means: what of it the code alone decides, blurred where it leaves something open.

    Args:
        size: of the faces, four times a power of two.
        code_channels: width of the code.
    """

    def __init__(self, size: int, code_channels: int) -> None:
        super().__init__()
        side = size // 2
        steps = (side // SMALLEST).bit_length() - 1
        widths = [max(128 >> step, 32) for step in range(steps + 1)]
        self.width = widths[0]
        self.spread = nn.Linear(code_channels, widths[0] * SMALLEST**2)
        layers: list[nn.Module] = []
        for width, wanted in pairwise(widths):
            layers += [nn.Upsample(scale_factor=2), nn.Conv2d(width, wanted, 3, padding=1)]
            layers += [nn.BatchNorm2d(wanted), nn.SiLU()]
        self.layers = nn.Sequential(*layers, nn.Conv2d(widths[-1], 12, 3, padding=1), nn.PixelShuffle(2))

    def forward(self, z_sem: Tensor) -> Tensor:
        """Map codes (n, code_channels) to faces (n, 3, size, size), about -1 to 1."""
        spread = functional.silu(self.spread(z_sem)).view(-1, self.width, SMALLEST, SMALLEST)
        face: Tensor = self.layers(spread)
        return face


def contracting(
    size: int,
    channels: int,
    multipliers: Sequence[int],
    in_channels: int,
    blocks: int,
    attention: Sequence[int],
    block: Callable[[int, int, Resample | None], ResidualBlock],
) -> tuple[nn.ModuleList, list[int]]:
    """Build the way down, and the width after each of its stages (what the skips carry)."""
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
