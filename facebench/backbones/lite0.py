"""EfficientNet-Lite0, trained on ImageNet: image features of the compact suite.

Measures: image content, for fidelity and diversity.
Input: whole image, Pillow bicubic to 224 x 224 without fixed aspect ratio, RGB, (x - 127) / 128.
Arrays: `features` (n, 1280), not negative.
Licence: Apache-2.0.
Papers: Tan and Le 2019, "EfficientNet: Rethinking model scaling for convolutional neural networks"; Lite variant and
scaling of the official TensorFlow code (tensorflow/tpu, efficientnet_lite_builder.py).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from facebench.backbones.base import Crop, Image, load_strictly
from facebench.backbones.resize import pil_bicubic, to_tensor
from facebench.backbones.torch_network import Deferred, TorchBackbone, unfilled
from facebench.backbones.weights import WeightsSource

if TYPE_CHECKING:
    from torch import Tensor, nn

SIDE = 224
_BLOCK = re.compile(r"_blocks\.(\d{1,6})\.([^.]+)\.(.+)")
STAGES = (1, 2, 2, 3, 3, 4, 1)
"""Number of blocks in the seven stages."""

# Names of efficientnet_lite_pytorch -> names of timm: outside the blocks, in the first block, in other blocks.
_OUTSIDE = {
    "_conv_stem": "conv_stem",
    "_bn0": "bn1",
    "_conv_head": "conv_head",
    "_bn1": "bn2",
    "_fc": "classifier",
}
_FIRST = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
_OTHER = {
    "_expand_conv": "conv_pw",
    "_bn0": "bn1",
    "_depthwise_conv": "conv_dw",
    "_bn1": "bn2",
    "_project_conv": "conv_pwl",
    "_bn2": "bn3",
}


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
        network: Any = self.network  # nn.Module does not declare timm's methods
        return {"features": network.forward_head(network.forward_features(batch), pre_logits=True)}


def build(name: str, source: WeightsSource, device: str) -> Lite0:
    """Build `lite0` from timm and load the official names; verified weights are loaded on first use.

    Raises:
        WeightsError: the weights belong to another network.
    """
    used = source.used()
    network = Deferred(partial(_network, name, source)) if used.verified else _network(name, source)
    return Lite0(name, network, used, device)


def _network(name: str, source: WeightsSource) -> nn.Module:
    import timm  # here, because the import takes more than a second

    network = unfilled(lambda: timm.create_model("tf_efficientnet_lite0", pretrained=False))
    load_strictly(network, _timm_names(source.state_dict()), name)
    return network


def _timm_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Convert names of efficientnet_lite_pytorch to those of timm; unknown names stay unchanged."""
    return {_timm_name(name): tensor for name, tensor in state.items()}


def _timm_name(name: str) -> str:
    """Return timm's name of a parameter.

    Example:
        >>> _timm_name("_blocks.3._expand_conv.weight")
        'blocks.2.0.conv_pw.weight'
    """
    inside = _BLOCK.fullmatch(name)
    if inside is None:
        head, _, rest = name.partition(".")
        return f"{_OUTSIDE.get(head, head)}.{rest}"
    number, layer, field = inside.groups()
    stage, block = _position(int(number))
    layers = _FIRST if stage == 0 else _OTHER
    return f"blocks.{stage}.{block}.{layers.get(layer, layer)}.{field}"


def _position(number: int) -> tuple[int, int]:
    """Return the stage of a consecutively numbered block, and its index in the stage."""
    for stage, length in enumerate(STAGES):
        if number < length:
            return stage, number
        number -= length
    return len(STAGES), number
