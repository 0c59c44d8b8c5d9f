"""Channels last is used unless a convolution is unsafe in oneDNN's backward pass."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from facebench.backbones.iresnet import DEPTHS, IResNet
from facebench.training.engine.memory_layout import training_memory_format

TRAIN = """
import torch
from facebench.training.engine.memory_layout import training_memory_format
from torch import nn
network = nn.Conv2d(4, 8, kernel_size=1, stride=2)
layout = training_memory_format(network)
network.to(memory_format=layout)
for _ in range(300):
    x = torch.randn(8, 4, 28, 28).contiguous(memory_format=layout)
    network(x).sum().backward()
"""


@pytest.mark.parametrize(
    ("convolution", "expected"),
    [
        (nn.Conv2d(4, 8, kernel_size=1, stride=2), torch.contiguous_format),
        (nn.Conv2d(12, 8, kernel_size=1, stride=(1, 2)), torch.contiguous_format),
        (nn.Conv2d(16, 8, kernel_size=1, stride=2, groups=4), torch.contiguous_format),
        (nn.Conv2d(8, 4, kernel_size=1, stride=2), torch.channels_last),
        (nn.Conv2d(4, 8, kernel_size=1), torch.channels_last),
        (nn.Conv2d(3, 8, kernel_size=3, stride=2), torch.channels_last),
    ],
)
def test_strided_pointwise_convolutions_of_few_channels_are_contiguous(
    convolution: nn.Conv2d, expected: torch.memory_format
) -> None:
    assert training_memory_format(convolution) == expected
    assert training_memory_format(nn.Sequential(nn.Conv2d(3, 8, 3), convolution)) == expected


@pytest.mark.parametrize(
    ("width", "expected"), [(4, torch.contiguous_format), (8, torch.channels_last), (64, torch.channels_last)]
)
def test_recognition_networks_of_published_widths_are_channels_last(
    width: int, expected: torch.memory_format
) -> None:
    with torch.device("meta"):
        network = IResNet(DEPTHS["iresnet18"], width=width, size=28, embedding=8, dropout=0.0)
    assert training_memory_format(network) == expected


def test_training_in_the_chosen_format_does_not_corrupt_the_heap() -> None:
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "ONEDNN_MAX_CPU_ISA": "AVX2"}
    done = subprocess.run([sys.executable, "-c", TRAIN], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
