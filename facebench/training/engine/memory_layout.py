"""Memory format of a network in training: channels last where the backward pass is safe."""

from __future__ import annotations

import torch
from torch import nn

_CHANNEL_BLOCK = 8
"""Float32 values in an AVX2 register."""


def training_memory_format(network: nn.Module) -> torch.memory_format:
    """Return the memory format in which a network is trained on a CPU.

    Channels last is the native format of oneDNN convolutions and shortens a training step by about a quarter.
    oneDNN 3.12 (PyTorch 2.14) corrupts the heap in this format with AVX2 instructions: the weight
    gradient of a 1 x 1 convolution with a stride and fewer than eight input channels writes behind its buffer.
    Networks with such a convolution stay contiguous on all CPUs.

    Example:
        >>> training_memory_format(nn.Conv2d(8, 16, kernel_size=1, stride=2))
        torch.channels_last
        >>> training_memory_format(nn.Conv2d(4, 8, kernel_size=1, stride=2))
        torch.contiguous_format
    """
    unsafe = any(isinstance(module, nn.Conv2d) and _overruns(module) for module in network.modules())
    return torch.contiguous_format if unsafe else torch.channels_last


def _overruns(convolution: nn.Conv2d) -> bool:
    """Whether the weight gradient may write behind its buffer.

    Full blocks of channels are safe. A last block that is not full was only seen to fail when it is the only one.
    """
    strided = convolution.kernel_size == (1, 1) and max(convolution.stride) > 1
    return strided and convolution.in_channels // convolution.groups % _CHANNEL_BLOCK != 0
