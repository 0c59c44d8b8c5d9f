"""EmotiEffLib (formerly HSEmotion): expression, valence and arousal from small networks in ONNX files.

Measures: valence and arousal, not bounded, and 8 expression classes; trained on AffectNet.
Input: crop `face224` without alignment, RGB, OpenCV bilinear resize without antialiasing.
    `emotieff-b0`: 224 x 224, ImageNet mean and deviation. `emotieff-mbf`: 112 x 112, mean and deviation 0.5.
Arrays: `valence` (n,), `arousal` (n,), `expression` logits (n, 8).
Licence: Apache-2.0, code and weights.
Papers: Savchenko 2022, "Video-based frame-level facial analysis of affective behavior on mobile devices using
EfficientNets"; Savchenko et al. 2022, "Classifying emotions and engagement in online learning based on a single facial
expression recognition neural network".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from facebench.backbones.base import Backbone, Image, WeightsUsed
from facebench.backbones.crops import stretched
from facebench.backbones.onnx_network import OnnxNetwork
from facebench.backbones.resize import IMAGENET_MEAN, IMAGENET_STD, standardise
from facebench.backbones.weights import WeightsSource

EXPRESSIONS = ("anger", "contempt", "disgust", "fear", "happy", "neutral", "sad", "surprise")


@dataclass(frozen=True)
class _Input:
    size: int
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    preprocessing: str


_HALF = (0.5, 0.5, 0.5)
_INPUTS: Mapping[str, _Input] = {
    "emotieff-b0": _Input(224, IMAGENET_MEAN, IMAGENET_STD, "face224-cv2-bilinear-224-imagenet-v1"),
    "emotieff-mbf": _Input(112, _HALF, _HALF, "face224-cv2-bilinear-112-half-v1"),
}


class EmotiEff(Backbone):
    """EmotiEffLib's multi-task networks: `valence`, `arousal` (n,) and `expression` logits (n, 8).

    `emotieff-b0` is enet_b0_8_va_mtl.onnx, `emotieff-mbf` is mbf_va_mtl.onnx. Both run on the CPU. The resize is
    that of the library's ONNX engine; its PyTorch engine uses Pillow with antialiasing. The library's examples
    crop the box of a detector. Valence and arousal are not bounded to [-1, 1].

    The classes are in alphabetical order, unlike those of EmoNet and CAGE. `expressions` names the columns.
    """

    crop = "face224"
    arrays = ("valence", "arousal", "expression")
    expressions = EXPRESSIONS

    def __init__(self, name: str, onnx: OnnxNetwork, weights: WeightsUsed) -> None:
        self.name = name
        self.weights = weights
        self.network = None
        self.device = torch.device("cpu")
        self._input = _INPUTS[name]
        self.preprocessing = self._input.preprocessing
        self._onnx = onnx

    def preprocess(self, image: Image) -> Tensor:
        """Resize a uint8 RGB face to float32 (3, side, side), without fixed aspect ratio."""
        return standardise(stretched(image, self._input.size), self._input.mean, self._input.std)

    def embed(self, batch: Tensor) -> dict[str, npt.NDArray[np.float32]]:
        """Compute valence, arousal and expression logits; the network returns the logits first."""
        outputs = self._onnx(batch.cpu().numpy())
        return {"valence": outputs[:, -2], "arousal": outputs[:, -1], "expression": outputs[:, :-2]}


def build(name: str, source: WeightsSource, device: str) -> EmotiEff:
    """Build `emotieff-b0` or `emotieff-mbf`; `device` is ignored, the networks run on the CPU.

    Raises:
        WeightsError: the file is not an ONNX file with this input and ten outputs.
    """
    onnx = OnnxNetwork(source.file(), size=_INPUTS[name].size, columns=len(EXPRESSIONS) + 2)
    return EmotiEff(name, onnx, source.used())
