"""MaxViT-T of CAGE: valence, arousal and expression of a face.

Measures: valence and arousal, not bounded, and 8 expression classes; trained on AffectNet.
Input: crop `face224` without alignment, RGB, Pillow bilinear to 224 x 224, ImageNet mean and deviation.
Arrays: `valence` (n,), `arousal` (n,); `maxvit-combined` also `expression` logits (n, 8).
Licence: MIT (code); AffectNet is for research only.
Papers: Wagner et al. 2024, "CAGE: Circumplex affect guided expression inference"; network Tu et al. 2022, "MaxViT:
Multi-axis vision transformer".
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
from facebench.backbones.weights import WeightsSource
from facebench.core.errors import WeightsError

SIZE = 224
EXPRESSIONS = ("neutral", "happy", "sad", "surprise", "fear", "disgust", "anger", "contempt")
_INDEX = ".relative_position_index"


class MaxVit(TorchBackbone):
    """CAGE's MaxViT-T: `valence` and `arousal` (n,); `maxvit-combined` also `expression` logits (n, 8).

    AffectNet's images are 224 x 224 face crops, which the authors' evaluation does not resize. Valence and
    arousal are not bounded to [-1, 1]. The authors' webcam demo uses BGR and splits the ten outputs at wrong
    columns; this backbone follows their evaluation code. `expressions` names the columns.

    `maxvit-va` reads AffectNet8_Maxvit_VA or AffectNet7_Maxvit_VA. `maxvit-combined` reads
    AffectNet8_Maxvit_Combined.
    """

    crop = "face224"
    preprocessing = "face224-pil-bilinear-224-imagenet-v1"
    expressions = EXPRESSIONS

    def __init__(self, name: str, network: nn.Module, source: WeightsSource, device: str) -> None:
        super().__init__(name, network, source.used(), device)
        self.arrays = ("valence", "arousal") + (("expression",) if name == "maxvit-combined" else ())

    def preprocess(self, image: Image) -> Tensor:
        """Resize a uint8 RGB face to float32 (3, 224, 224), without fixed aspect ratio."""
        resized = PillowImage.fromarray(image).resize((SIZE, SIZE), PillowImage.Resampling.BILINEAR)
        return standardise(np.asarray(resized), IMAGENET_MEAN, IMAGENET_STD)

    def run(self, batch: Tensor) -> dict[str, Tensor]:
        """Compute valence, arousal and expression logits; the network returns the logits first."""
        outputs = self.network(batch)
        named = {"valence": outputs[:, -2], "arousal": outputs[:, -1], "expression": outputs[:, :-2]}
        return {name: named[name] for name in self.arrays}


def maxvit_network(name: str) -> nn.Module:
    """Build torchvision's MaxViT-T with CAGE's last layer: 10 outputs, or dropout and 2 outputs."""
    network = maxvit_t(weights=None)
    kept = list(network.classifier)[:-1]
    if name == "maxvit-combined":
        last: list[nn.Module] = [nn.Linear(512, len(EXPRESSIONS) + 2, bias=False)]
    else:
        last = [nn.Dropout(0.3), nn.Linear(512, 2, bias=False)]
    network.classifier = nn.Sequential(*kept, *last)
    return cast(nn.Module, network)


def _with_indices(network: nn.Module, state: Mapping[str, Tensor], what: str) -> dict[str, Tensor]:
    """Add the position tables, which some files lack; they are constants of the layout.

    Raises:
        WeightsError: the file contains another table, so it has another layout.
    """
    tables = {key: value for key, value in network.state_dict().items() if key.endswith(_INDEX)}
    for key, table in tables.items():
        if key in state and not (state[key].shape == table.shape and torch.equal(state[key].long(), table)):
            raise WeightsError(f"{what}: '{key}' is not the position table of 7 x 7 windows at 224 pixels.")
    return tables | dict(state)


def build(name: str, source: WeightsSource, device: str) -> MaxVit:
    """Build `maxvit-va` or `maxvit-combined`.

    Raises:
        WeightsError: the weights belong to another network.
    """
    network = maxvit_network(name)
    load_strictly(network, _with_indices(network, source.state_dict("module."), name), name)
    return MaxVit(name, network, source, device)
