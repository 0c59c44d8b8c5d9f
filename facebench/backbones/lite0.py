"""EfficientNet-Lite0, trained on ImageNet: image features of the compact suite.

Measures: image content, for fidelity and diversity.
Input: whole image, Pillow bicubic to 224 x 224 without fixed aspect ratio, RGB, (x - 127) / 128.
Arrays: `features` (n, 1280), not negative.
Licence: Apache-2.0.
Papers: Tan and Le 2019, "EfficientNet: Rethinking model scaling for convolutional neural networks"; Lite variant and
scaling of the official TensorFlow code (tensorflow/tpu, efficientnet_lite_builder.py).
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from facebench.backbones.base import Crop, Image, load_strictly
from facebench.backbones.resize import pil_bicubic, to_tensor
from facebench.backbones.torch_network import Deferred, TorchBackbone, unfilled
from facebench.backbones.weights import WeightsSource

if TYPE_CHECKING:
    from torch import Tensor, nn

SIDE = 224


class Lite0(TorchBackbone):
    """EfficientNet-Lite0: `features` (n, 1280), the mean of the last feature map.

    Pillow resizes the whole image in uint8 (bicubic, antialiased). The running statistics of the network agree
    with the scaling (x - 127) / 128, not with ImageNet's mean and deviation.
    """

    crop: ClassVar[Crop] = "image"
    preprocessing = "pil-bicubic-224-rgb-127-128-v1"
    arrays = ("features",)
    channels_last = True

    def preprocess(self, image: Image) -> Tensor:
        """Resize and scale uint8 (height, width, 3) RGB to float32 (3, 224, 224) in about [-1, 1]."""
        return to_tensor((pil_bicubic(image, SIDE).astype(np.float32) - np.float32(127)) / np.float32(128))

    def run(self, batch: Tensor) -> dict[str, Tensor]:
        """Compute `features`."""
        return {"features": self.network(batch)}


def build(name: str, source: WeightsSource, device: str) -> Lite0:
    """Build `lite0`; verified weights are loaded on first use.

    Raises:
        WeightsError: the weights belong to another network.
    """
    used = source.used()
    network = Deferred(partial(_network, name, source)) if used.verified else _network(name, source)
    return Lite0(name, network, used, device)


def _network(name: str, source: WeightsSource) -> nn.Module:
    from facebench.backbones.lite0_network import Lite0Network  # here, because it imports torch

    network = unfilled(Lite0Network)
    load_strictly(network, source.state_dict(), name)
    return network
