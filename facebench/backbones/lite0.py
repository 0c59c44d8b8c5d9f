"""EfficientNet-Lite0, trained on ImageNet: features for fidelity and diversity in the compact suite."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np
import timm
from torch import Tensor

from facebench.backbones.base import Crop, Image, load_strictly
from facebench.backbones.resize import pil_bicubic, to_tensor
from facebench.backbones.torch_network import TorchBackbone, unfilled
from facebench.backbones.weights import Given

SIDE = 224
STAGES = (1, 2, 2, 3, 3, 4, 1)
"""Blocks in each of the network's seven stages."""

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
    """What the classifier reads: the mean over the last feature map.

    The whole image is squeezed to 224x224 with Pillow's bicubic filter (antialiased, on uint8, no crop),
    and scaled as (x - 127) / 128 in RGB, as the official TensorFlow code of the Lite networks does
    (tensorflow/tpu, efficientnet_lite_builder.py). The running statistics inside the network agree with
    that scaling, not with ImageNet's mean and deviation. Array: `features` (n, 1280), each at least 0.
    """

    crop: ClassVar[Crop] = "image"
    preprocessing = "pil-bicubic-224-rgb-127-128-v1"
    arrays = ("features",)
    channels_last = True

    def preprocess(self, image: Image) -> Tensor:
        """Turn uint8 (height, width, 3) RGB into float32 (3, 224, 224), about -1 to 1."""
        return to_tensor((pil_bicubic(image, SIDE).astype(np.float32) - np.float32(127)) / np.float32(128))

    def run(self, batch: Tensor) -> dict[str, Tensor]:
        """Features of (n, 3, 224, 224)."""
        network: Any = self.network  # timm's methods, which nn.Module does not declare
        return {"features": network.forward_head(network.forward_features(batch), pre_logits=True)}


def build(name: str, given: Given, device: str) -> Lite0:
    """Build the network in timm and fill it from the official names, strictly."""
    network = unfilled(lambda: timm.create_model("tf_efficientnet_lite0", pretrained=False))
    load_strictly(network, _timm_names(given.state_dict()), name)
    return Lite0(name, network, given.used(), device)


def _timm_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Rename from the package efficientnet_lite_pytorch to timm; unknown names stay, to be refused later."""
    return {_timm_name(name): tensor for name, tensor in state.items()}


def _timm_name(name: str) -> str:
    """The name that timm gives a parameter.

    Example:
        >>> _timm_name("_blocks.3._expand_conv.weight")
        'blocks.2.0.conv_pw.weight'
    """
    head, _, rest = name.partition(".")
    if head != "_blocks":
        return f"{_OUTSIDE.get(head, head)}.{rest}"
    number, layer, field = rest.split(".", 2)
    stage, block = _place(int(number))
    layers = _FIRST if stage == 0 else _OTHER
    return f"blocks.{stage}.{block}.{layers.get(layer, layer)}.{field}"


def _place(number: int) -> tuple[int, int]:
    """Stage, and place in it, of a block that is counted through."""
    for stage, length in enumerate(STAGES):
        if number < length:
            return stage, number
        number -= length
    return len(STAGES), number
