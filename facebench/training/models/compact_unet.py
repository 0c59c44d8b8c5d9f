"""U-Net of the compact models: it processes patches of pixels and receives position features."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from facebench.training.models.layers import Attention, sinusoid
from facebench.training.models.unet import UNet


class CompactUNet(UNet):
    """U-Net for small networks on slow computers.

    Args:
        size: height and width of the images.
        channels: width of the first level.
        multipliers: width of each level relative to `channels`.
        in_channels: channels of the input, conditions included.
        time_channels: width of the time embedding.
        code_channels: width of the code.
        code_shift: the code gives a shift besides the scale.
        blocks: residual blocks per level in the contracting path.
        attention: sizes of feature maps, after patching, at which self-attention follows each block.
        dropout: dropout probability in the residual blocks.
        groups: groups of the group normalisation. With 32 groups a narrow layer has one channel per group, and the
            normalisation removes its mean.
        patch: side of the patches of pixels that form one position. Larger patches make the feature maps smaller.
        position_features: add learnt features of the position, initialised with sinusoids. Without them, a
            convolution distinguishes positions in pure noise only at the border.

    Source: Hoogeboom et al. 2023, "Simple diffusion", section 3.2 (patches).
    """

    def __init__(
        self,
        size: int,
        channels: int,
        multipliers: Sequence[int],
        *,
        in_channels: int,
        time_channels: int,
        code_channels: int,
        code_shift: bool,
        blocks: int,
        attention: Sequence[int],
        dropout: float,
        groups: int,
        patch: int,
        position_features: bool,
    ) -> None:
        super().__init__(
            size // patch,
            channels,
            multipliers,
            in_channels=in_channels * patch**2,
            out_channels=3 * patch**2,
            time_channels=time_channels,
            code_channels=code_channels,
            code_shift=code_shift,
            blocks=blocks,
            attention=attention,
            dropout=dropout,
        )
        self.patch = patch
        self.positions: nn.Parameter | None = None
        if position_features:
            self.positions = nn.Parameter(sinusoidal_positions(channels * multipliers[0], size // patch))
        set_group_count(self, groups)

    def forward(self, x_t: Tensor, t: Tensor, code: Tensor | None = None) -> Tensor:
        """Predict the output (n, 3, size, size) of x_t (n, in_channels, size, size); see `UNet.forward`."""
        patches = functional.pixel_unshuffle(x_t, self.patch)
        return functional.pixel_shuffle(super().forward(patches, t, code), self.patch)

    def input_features(self, x_t: Tensor) -> Tensor:
        """Apply the first convolution and add the position features."""
        features = super().input_features(x_t)
        return features if self.positions is None else features + self.positions


def sinusoidal_positions(channels: int, side: int) -> Tensor:
    """Build sinusoids of the column (first half of the channels) and of the row, (1, channels, side, side).

    Example:
        >>> sinusoidal_positions(8, 4)[0, :, 0, 3].shape
        torch.Size([8])
    """
    waves = sinusoid(torch.arange(side), channels // 2).T
    columns = waves[:, None, :].expand(-1, side, -1)
    rows = waves[:, :, None].expand(-1, -1, side)
    return torch.cat([columns, rows])[None].clone()


def set_group_count(network: nn.Module, groups: int) -> None:
    """Set the number of groups of all group normalisations, limited to a divisor of each layer's width."""
    for layer in network.modules():
        if isinstance(layer, nn.GroupNorm):
            layer.num_groups = math.gcd(groups, layer.num_channels)


def use_batch_norm(network: nn.Module) -> None:
    """Replace group normalisation by batch normalisation; a narrow encoder then learns labels in fewer steps."""
    for module in list(network.modules()):
        for name, layer in list(module.named_children()):
            if isinstance(layer, nn.GroupNorm):
                norm = nn.BatchNorm1d if isinstance(module, Attention) else nn.BatchNorm2d
                setattr(module, name, norm(layer.num_channels))
