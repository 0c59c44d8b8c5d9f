"""The network EfficientNet-Lite0, with the parameter names of its official weights.

timm has this network, but its import takes more than a second, and its layers cannot be fused (`fused_cpu`).
Source: Tan and Le 2019, table 1; official TensorFlow code of the Lite variant (tensorflow/tpu,
efficientnet_lite_builder.py): ReLU6 instead of swish, no squeeze-and-excitation, padding "SAME".
"""

from __future__ import annotations

from typing import NamedTuple

from torch import Tensor, nn

FEATURES = 1280
CLASSES = 1000
STEM = 32
"""Channels of the first convolution."""
_EPS = 1e-3


class Stage(NamedTuple):
    """Blocks of equal width; only the first one has the stride."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    width: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)


class Lite0Network(nn.Module):
    """Images (n, 3, 224, 224) to the mean of the last feature map (n, 1280)."""

    def __init__(self) -> None:
        super().__init__()
        self._padding = _same_padding(3, 2)
        self._conv_stem = nn.Conv2d(3, STEM, 3, 2, bias=False)
        self._bn0 = nn.BatchNorm2d(STEM, eps=_EPS)
        self._blocks = nn.Sequential(*_blocks())
        self._conv_head = nn.Conv2d(STAGES[-1].width, FEATURES, 1, bias=False)
        self._bn1 = nn.BatchNorm2d(FEATURES, eps=_EPS)
        self._activation = nn.ReLU6()
        self._fc = nn.Linear(FEATURES, CLASSES)  # part of the weights, not of the features

    def forward(self, images: Tensor) -> Tensor:
        """Compute the features."""
        x: Tensor = self._activation(self._bn0(self._conv_stem(self._padding(images))))
        x = self._activation(self._bn1(self._conv_head(self._blocks(x))))
        return x.mean((2, 3))


class Block(nn.Module):
    """Inverted residual: expand the channels, filter each one, project them; add the input where shapes agree."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        width = inputs * expansion
        self._expands = expansion > 1
        self._is_residual = stride == 1 and inputs == outputs
        if self._expands:
            self._expand_conv = nn.Conv2d(inputs, width, 1, bias=False)
            self._bn0 = nn.BatchNorm2d(width, eps=_EPS)
        self._padding = _same_padding(kernel, stride)
        own_padding = kernel // 2 if stride == 1 else 0
        self._depthwise_conv = nn.Conv2d(width, width, kernel, stride, own_padding, groups=width, bias=False)
        self._bn1 = nn.BatchNorm2d(width, eps=_EPS)
        self._project_conv = nn.Conv2d(width, outputs, 1, bias=False)
        self._bn2 = nn.BatchNorm2d(outputs, eps=_EPS)
        self._activation = nn.ReLU6()

    def forward(self, inputs: Tensor) -> Tensor:
        """Compute feature maps (n, outputs, height, width)."""
        x: Tensor = inputs
        if self._expands:
            x = self._activation(self._bn0(self._expand_conv(x)))
        x = self._activation(self._bn1(self._depthwise_conv(self._padding(x))))
        x = self._bn2(self._project_conv(x))
        return x + inputs if self._is_residual else x


def _blocks() -> list[Block]:
    blocks, inputs = [], STEM
    for stage in STAGES:
        for index in range(stage.blocks):
            stride = stage.stride if index == 0 else 1
            blocks.append(Block(inputs, stage.width, stage.kernel, stride, stage.expansion))
            inputs = stage.width
    return blocks


def _same_padding(kernel: int, stride: int) -> nn.Module:
    """Return TensorFlow's padding "SAME" for stride 2 and an even side: one pixel more at the right and bottom.

    For stride 1 the convolution pads by itself.
    """
    if stride == 1:
        return nn.Identity()
    before, after = (kernel - 2) // 2, (kernel - 1) // 2
    return nn.ZeroPad2d((before, after, before, after))
