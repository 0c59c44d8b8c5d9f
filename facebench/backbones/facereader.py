"""FaceReader: expression, valence, arousal, 3D shape and pose, from a small network of this project.

Measures: valence and arousal, 8 expression classes, ARKit expression units, head shape and pose.
Input: aligned crop `face112`, RGB, antialiased bilinear to 64 x 64, [-1, 1].
Arrays: `expression` logits (n, 8), `valence` (n,), `arousal` (n,), `exp` (n, 52), `shape` (n, 30), `pose` (n, 3).
Licence: Apache-2.0.
Reference: docs/face-reader.md. The network was trained on synthetic faces only (`facebench train face-reader`);
photographs are outside its training domain.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from facebench.backbones.base import Crop, Image, load_strictly
from facebench.backbones.torch_network import TorchBackbone, unfilled
from facebench.backbones.weights import WeightsSource
from facebench.core.errors import InputError

SIDE = 64
CROP = 112
EXPRESSIONS = ("neutral", "happy", "sad", "angry", "surprised", "afraid", "disgusted", "contempt")
OUTPUTS: Mapping[str, int] = {
    "expression": len(EXPRESSIONS),
    "valence": 1,
    "arousal": 1,
    "exp": 52,
    "shape": 30,
    "pose": 3,
}
POSE_DEGREES = 15.0
"""Degrees per unit of the network's pose output."""
_WIDTHS = (32, 64, 128, 192)


class _Block(nn.Module):
    """Residual block of two convolutions (He et al. 2016)."""

    def __init__(self, channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv_1 = nn.Conv2d(channels, out_channels, 3, stride, 1, bias=False)
        self.norm_1 = nn.BatchNorm2d(out_channels)
        self.conv_2 = nn.Conv2d(out_channels, out_channels, 3, 1, 1, bias=False)
        self.norm_2 = nn.BatchNorm2d(out_channels)
        self.skip = nn.Sequential(
            nn.Conv2d(channels, out_channels, 1, stride, bias=False), nn.BatchNorm2d(out_channels)
        )

    def forward(self, x: Tensor) -> Tensor:
        h = functional.relu(self.norm_1(self.conv_1(x)))
        out: Tensor = functional.relu(self.norm_2(self.conv_2(h)) + self.skip(x))
        return out


class FaceReader(nn.Module):
    """Residual network: (n, 3, 64, 64) in [-1, 1] to the named outputs of `OUTPUTS`."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, _WIDTHS[0], 3, 2, 1, bias=False)
        self.norm = nn.BatchNorm2d(_WIDTHS[0])
        pairs = zip((_WIDTHS[0], *_WIDTHS), _WIDTHS, strict=False)
        self.blocks = nn.Sequential(
            *[_Block(before, after, 1 if i == 0 else 2) for i, (before, after) in enumerate(pairs)]
        )
        self.heads = nn.Linear(_WIDTHS[-1] * 4, sum(OUTPUTS.values()))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Compute the outputs (n, size); pose in units of `POSE_DEGREES`."""
        h = self.blocks(functional.relu(self.norm(self.stem(x))))
        # A grid of 2 x 2 keeps the position of features: brows in the upper half, mouth in the lower half.
        columns = self.heads(functional.adaptive_avg_pool2d(h, 2).flatten(1))
        return dict(zip(OUTPUTS, columns.split(list(OUTPUTS.values()), dim=1), strict=True))


class FaceReaderBackbone(TorchBackbone):
    """Outputs of FaceReader for aligned faces.

    - `valence`, `arousal` (n,).
    - `expression` (n, 8): logits; `expressions` names the columns.
    - `exp` (n, 52): ψ, activations of the ARKit units.
    - `shape` (n, 30): β, principal components of synthetic heads in standard deviations.
    - `pose` (n, 3): yaw, pitch and roll in degrees that remain after alignment.
    """

    crop: ClassVar[Crop] = "face112"
    preprocessing = "face112-bilinear-antialias-64-half-v1"
    arrays = tuple(OUTPUTS)
    expressions = EXPRESSIONS

    def preprocess(self, image: Image) -> Tensor:
        """Convert an aligned crop, uint8 (112, 112, 3) RGB, to float32 (3, 64, 64) in [-1, 1].

        Raises:
            InputError: the image has another size.
        """
        if image.shape != (CROP, CROP, 3):
            raise InputError(
                f"{self.name} needs aligned crops of 112 x 112 RGB, not an image of shape {image.shape}."
            )
        return shrunk(torch.from_numpy(image.copy()).permute(2, 0, 1)[None].float() / 127.5 - 1)[0]

    def run(self, batch: Tensor) -> dict[str, Tensor]:
        """Compute the arrays."""
        outputs = self.network(batch)
        flat = {name: outputs[name].squeeze(1) for name in ("valence", "arousal")}
        return {**outputs, **flat, "pose": outputs["pose"] * POSE_DEGREES}


def shrunk(crops: Tensor) -> Tensor:
    """Resize aligned crops (n, 3, 112, 112) to the network's input (n, 3, 64, 64); differentiable."""
    return functional.interpolate(crops, (SIDE, SIDE), mode="bilinear", align_corners=False, antialias=True)


def build(name: str, source: WeightsSource, device: str) -> FaceReaderBackbone:
    """Build `facereader`; weights in half precision are converted to float32.

    Raises:
        WeightsError: the weights belong to another network.
    """
    network = unfilled(FaceReader)
    load_strictly(network, source.state_dict(), name)
    return FaceReaderBackbone(name, network, source.used(), device)
