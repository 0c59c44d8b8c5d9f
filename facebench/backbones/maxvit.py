"""MaxViT-T of CAGE: valence, arousal and expression of a face.

Source: Wagner et al. 2024, "CAGE: Circumplex affect guided expression inference"; network Tu et al. 2022,
"MaxViT: Multi-axis vision transformer". Code under MIT; trained on AffectNet, which is for research only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import cast

import numpy as np
import torch
from PIL import Image as PillowImage
from torch import Tensor, nn
from torchvision.models import maxvit_t

from facebench.backbones.base import Image, load_strictly
from facebench.backbones.resize import IMAGENET_MEAN, IMAGENET_STD, standardise
from facebench.backbones.torch_network import TorchBackbone
from facebench.backbones.weights import Given
from facebench.core.errors import WeightsError

SIZE = 224
EXPRESSIONS = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt")
_INDEX = ".relative_position_index"


class MaxVit(TorchBackbone):
    """CAGE's MaxViT-T: `valence` and `arousal` (n,); `maxvit-combined` also `expression` logits (n, 8).

    Crop `face224`, RGB, Pillow's bilinear resize to 224 (antialiased when shrinking), ImageNet mean and
    deviation. AffectNet's own images are 224 x 224 face crops, which the authors' evaluation does not resize.
    Outputs are raw: neither valence nor arousal is bounded to [-1, 1]. The authors' webcam demo feeds BGR and
    cuts the ten outputs in the wrong places; this backbone follows their evaluation code. `expressions` names
    the columns.

    `maxvit-va` reads AffectNet8_Maxvit_VA or AffectNet7_Maxvit_VA, `maxvit-combined`
    AffectNet8_Maxvit_Combined.
    """

    crop = "face224"
    preprocessing = "face224-pil-bilinear-224-imagenet-v1"
    expressions = EXPRESSIONS

    def __init__(self, name: str, network: nn.Module, given: Given, device: str) -> None:
        super().__init__(name, network, given.used(), device)
        self.arrays = ("valence", "arousal") + (("expression",) if name == "maxvit-combined" else ())

    def preprocess(self, image: Image) -> Tensor:
        """Turn a uint8 RGB face of any size into float32 (3, 224, 224); aspect is not kept."""
        resized = PillowImage.fromarray(image).resize((SIZE, SIZE), PillowImage.Resampling.BILINEAR)
        return standardise(np.asarray(resized), IMAGENET_MEAN, IMAGENET_STD)

    def run(self, batch: Tensor) -> dict[str, Tensor]:
        """Valence and arousal, the last two columns, and the expression logits before them."""
        answers = self.network(batch)
        found = {"valence": answers[:, -2], "arousal": answers[:, -1], "expression": answers[:, :-2]}
        return {name: found[name] for name in self.arrays}


def maxvit_network(name: str) -> nn.Module:
    """Build torchvision's MaxViT-T with the last layer of CAGE: 10 outputs, or dropout and 2."""
    network = maxvit_t(weights=None)
    kept = list(network.classifier)[:-1]
    if name == "maxvit-combined":
        last: list[nn.Module] = [nn.Linear(512, len(EXPRESSIONS) + 2, bias=False)]
    else:
        last = [nn.Dropout(0.3), nn.Linear(512, 2, bias=False)]
    network.classifier = nn.Sequential(*kept, *last)
    return cast(nn.Module, network)


def _with_indices(network: nn.Module, state: Mapping[str, Tensor], what: str) -> dict[str, Tensor]:
    """Add the position tables where the file leaves them out: they follow from the layout, not from training.

    Raises:
        WeightsError: the file holds another table, so it is of another layout.
    """
    own = {key: value for key, value in network.state_dict().items() if key.endswith(_INDEX)}
    for key, table in own.items():
        if key in state and not torch.equal(state[key].long(), table):
            raise WeightsError(f"{what}: '{key}' is not the position table of 7 x 7 windows at 224 pixels.")
    return own | dict(state)


def build(name: str, given: Given, device: str) -> MaxVit:
    """Build `maxvit-va` or `maxvit-combined`.

    Raises:
        WeightsError: the weights are not those of this network; names the first key that does not fit.
    """
    network = maxvit_network(name)
    load_strictly(network, _with_indices(network, given.state_dict("module."), name), name)
    return MaxVit(name, network, given, device)
