"""FaceExpressionNet of face-api: seven expression classes for photographs, valence and arousal from the classes.

Measures: probabilities of seven expressions; valence and arousal as the expected circumplex place.
Input: aligned crop `face112`, RGB, (x - (122.782, 117.001, 104.298)) / 255.
Arrays: `expression` logits (n, 7), `probability` (n, 7), `valence` (n,), `arousal` (n,).
Licence: MIT (npm package @vladmandic/face-api 1.7.15; original face-api.js by Vincent Mühler).
Reference: package documentation. The training images are unnamed; rendered faces are outside its domain.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.nn import functional

from facebench.backbones.base import Crop, Image, load_strictly
from facebench.backbones.faceapi import dequantised, scaled
from facebench.backbones.torch_network import TorchBackbone, unfilled
from facebench.backbones.weights import WeightsSource
from facebench.synthface.expressions import affect

SIDE = 112
EXPRESSIONS = ("neutral", "happy", "sad", "angry", "afraid", "disgusted", "surprised")
"""The package's classes in its order; its "fearful" has the name that facebench uses, "afraid"."""
PLACES: tuple[tuple[float, float], ...] = tuple(affect(name) for name in EXPRESSIONS)
"""Valence and arousal of every class, from -1 to 1; see `facebench.synthface.expressions`."""
_WIDTHS = (32, 64, 128, 256)


class _Separable(nn.Module):
    """Depthwise 3 x 3 convolution, then a pointwise one with bias; TensorFlow's padding "same"."""

    def __init__(self, channels: int, out_channels: int, stride: int = 1) -> None:
        super().__init__()
        self.stride = stride
        self.depthwise = nn.Conv2d(channels, channels, 3, stride, groups=channels, bias=False)
        self.pointwise = nn.Conv2d(channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.pointwise(self.depthwise(_padded(x, self.stride)))
        return out


class _DenseBlock(nn.Module):
    """Four convolutions; each reads the sum of all earlier outputs."""

    def __init__(self, channels: int, width: int, *, first: bool) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(channels, width, 3, 2) if first else _Separable(channels, width, 2)
        self.conv1 = _Separable(width, width)
        self.conv2 = _Separable(width, width)
        self.conv3 = _Separable(width, width)
        self.first = first

    def forward(self, x: Tensor) -> Tensor:
        out = functional.relu(self.conv0(_padded(x, 2) if self.first else x))
        total = out + self.conv1(out)
        for conv in (self.conv2, self.conv3):
            total = total + conv(functional.relu(total))
        return functional.relu(total)


class FaceExpressionNet(nn.Module):
    """Dense network of separable convolutions: (n, 3, 112, 112) to logits (n, 7)."""

    def __init__(self) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            *[
                _DenseBlock(before, width, first=i == 0)
                for i, (before, width) in enumerate(zip((3, *_WIDTHS), _WIDTHS, strict=False))
            ]
        )
        self.fc = nn.Linear(_WIDTHS[-1], len(EXPRESSIONS))

    def forward(self, x: Tensor) -> Tensor:
        """Compute the logits in the order of `EXPRESSIONS`."""
        logits: Tensor = self.fc(functional.avg_pool2d(self.blocks(x), 7, 2).flatten(1))
        return logits


class FaceApiExpression(TorchBackbone):
    """Expressions of aligned photographs.

    - `expression` (n, 7): logits in the order of `expressions`.
    - `probability` (n, 7): softmax of the logits.
    - `valence`, `arousal` (n,): expected circumplex place, Σ p(class) · place(class). They are not a regression:
      the network learned classes only. The places are those of `facebench.synthface.expressions`.
    """

    crop: ClassVar[Crop] = "face112"
    preprocessing = "face112-rgb-faceapi-mean-255-v1"
    arrays = ("expression", "probability", "valence", "arousal")
    expressions = EXPRESSIONS

    def preprocess(self, image: Image) -> Tensor:
        """Convert an aligned crop, uint8 (112, 112, 3) RGB, to float32 (3, 112, 112).

        Raises:
            InputError: the image has another size.
        """
        return scaled(image, SIDE, self.name)

    def run(self, batch: Tensor) -> dict[str, Tensor]:
        """Compute the arrays."""
        logits = self.network(batch)
        probability = logits.double().softmax(dim=1)
        place = probability @ torch.tensor(PLACES, dtype=torch.float64, device=probability.device)
        return {
            "expression": logits,
            "probability": probability,
            "valence": place[:, 0],
            "arousal": place[:, 1],
        }


def build(name: str, source: WeightsSource, device: str) -> FaceApiExpression:
    """Build `faceapi-expression`; quantised weights are converted to float32.

    Raises:
        WeightsError: the weights belong to another network.
    """
    network = unfilled(FaceExpressionNet)
    load_strictly(network, dequantised(source.state_dict(), name), name)
    return FaceApiExpression(name, network, source.used(), device)


def _padded(x: Tensor, stride: int) -> Tensor:
    """Pad an even-sided map for a 3 x 3 convolution as TensorFlow does: the extra pixel is right and below."""
    return functional.pad(x, (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1))
