"""LPIPS (AlexNet, version 0.1): perceptual distance of two images.

Measures: distance of an edited image from its source, 0 for equal images, lower is closer.
Input: pairs of whole images, Pillow bicubic to 256 x 256 without fixed aspect ratio, RGB, [-1, 1].
Arrays: `distance` (n,).
Licence: BSD-2-Clause (linear layers), BSD-3-Clause (AlexNet of torchvision).
Paper: Zhang et al. 2018, "The unreasonable effectiveness of deep features as a perceptual metric".
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
import torchvision
from torch import Tensor, nn

from facebench.backbones.base import Image, load_strictly
from facebench.backbones.resize import pil_bicubic, to_tensor
from facebench.backbones.torch_network import TorchBackbone, unfilled
from facebench.backbones.weights import WeightsSource

SIZE = 256
CHANNELS = (64, 192, 384, 256, 256)
LAST_OF_STAGE = (1, 4, 7, 9, 11)
"""Indices of the five ReLUs of AlexNet whose outputs are compared."""
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)
"""ImageNet's mean and standard deviation for inputs in [-1, 1], rounded as in the published code."""


class _ChannelWeights(nn.Module):
    """Linear layer with one non-negative weight per channel, named `model.1.weight` as published."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.model = nn.Sequential(nn.Dropout(), nn.Conv2d(channels, 1, 1, bias=False))


class LpipsAlex(nn.Module):
    """LPIPS with AlexNet (Zhang et al. 2018, eq. 1).

    Parameter names are those of the two official files: `features.*` of torchvision's AlexNet and `lin*` of the
    `lpips` package.
    """

    def __init__(self) -> None:
        super().__init__()
        self.features = torchvision.models.alexnet().features
        for stage, channels in enumerate(CHANNELS):
            self.add_module(f"lin{stage}", _ChannelWeights(channels))

    def forward(self, generated: Tensor, source: Tensor) -> Tensor:
        """Compute the distance of each pair (n,); inputs (n, 3, height, width) in [-1, 1]."""
        distance = torch.zeros(len(generated), device=generated.device)
        stages = zip(self._stages(generated), self._stages(source), strict=True)
        for stage, (left, right) in enumerate(stages):
            weight = self.get_parameter(f"lin{stage}.model.1.weight")
            difference = (_unit(left) - _unit(right)).square()
            distance = distance + nn.functional.conv2d(difference, weight).mean(dim=(1, 2, 3))
        return distance

    def _stages(self, x: Tensor) -> list[Tensor]:
        x = (x - x.new_tensor(SHIFT).view(3, 1, 1)) / x.new_tensor(SCALE).view(3, 1, 1)
        outputs = []
        for index, layer in enumerate(self.features[: LAST_OF_STAGE[-1] + 1]):
            x = layer(x)
            if index in LAST_OF_STAGE:
                # Later in-place ReLUs do not change this output, because other layers lie between.
                outputs.append(x)
        return outputs


def _unit(features: Tensor) -> Tensor:
    # 1e-10 is part of the published definition; zero vectors stay zero.
    length: Tensor = torch.linalg.vector_norm(features, dim=1, keepdim=True)
    return features / (length + 1e-10)


class Lpips(TorchBackbone):
    """LPIPS of image pairs: `distance` (n,).

    `embed` takes pairs (n, 2, 3, 256, 256): the generated image first, its source second, each from `preprocess`.
    Pillow resizes the images in uint8 (bicubic, antialiased). LPIPS depends on the size, so the size is fixed.
    """

    arrays = ("distance",)
    preprocessing = "pil-bicubic-256-lpips-v1"

    def preprocess(self, image: Image) -> Tensor:
        """Resize and scale a uint8 RGB image to float32 (3, 256, 256) in [-1, 1]."""
        return to_tensor(pil_bicubic(image, SIZE).astype("float32") / 127.5 - 1)

    def run(self, batch: Tensor) -> dict[str, Tensor]:
        """Compute the distance between the two images of each row."""
        return {"distance": self.network(batch[:, 0], batch[:, 1])}


def build(name: str, source: WeightsSource, device: str) -> Lpips:
    """Build `lpips` from the weights of torchvision's AlexNet and of the `lpips` package.

    The state dict of `lpips.LPIPS(net="alex")` is accepted as well.

    Raises:
        WeightsError: the weights belong to another network than LPIPS with AlexNet.
    """
    network = unfilled(LpipsAlex)
    load_strictly(network, _official(source.state_dict()), name)
    return Lpips(name, network, source.used(), device)


def _official(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert to the official names; AlexNet's classifier and the copies in `lpips.LPIPS` are dropped."""
    kept = {k: v for k, v in state.items() if not k.startswith(("classifier.", "lins.", "scaling_layer."))}
    return {re.sub(r"^net\.slice\d\.", "features.", key): value for key, value in kept.items()}
