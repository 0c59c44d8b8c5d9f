"""EmotiEffLib (once HSEmotion): expression, valence and arousal from small networks in ONNX files.

Source: Savchenko 2022, "Video-based frame-level facial analysis of affective behavior on mobile devices using
EfficientNets"; Savchenko et al. 2022, "Classifying emotions and engagement in online learning based on a
single facial expression recognition neural network". Code and weights under Apache-2.0; trained on AffectNet.
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
from facebench.backbones.weights import Given

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

    Crop `face224` (the library's examples cut out the detector's box, unaligned), RGB, OpenCV's bilinear
    resize without antialias as in the library's ONNX engine (its PyTorch engine resizes with Pillow,
    antialiased). `emotieff-b0` is enet_b0_8_va_mtl.onnx at 224 with ImageNet mean and deviation;
    `emotieff-mbf` is mbf_va_mtl.onnx at 112 with mean and deviation 0.5. Valence and arousal are raw, not
    bounded to [-1, 1].

    The classes come in alphabetical order, unlike EmoNet's and CAGE's: `expressions` names the columns.
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
        """Turn a uint8 RGB face of any size into float32 (3, side, side); aspect is not kept."""
        return standardise(stretched(image, self._input.size), self._input.mean, self._input.std)

    def embed(self, batch: Tensor) -> dict[str, npt.NDArray[np.float32]]:
        """Valence and arousal, the last two columns, and the expression logits before them."""
        answers = self._onnx(batch.cpu().numpy())
        return {"valence": answers[:, -2], "arousal": answers[:, -1], "expression": answers[:, :-2]}


def build(name: str, given: Given, device: str) -> EmotiEff:
    """Build `emotieff-b0` or `emotieff-mbf`, always on the CPU.

    Raises:
        WeightsError: not an ONNX file with this input and ten outputs.
    """
    onnx = OnnxNetwork(given.file(), size=_INPUTS[name].size, columns=len(EXPRESSIONS) + 2)
    return EmotiEff(name, onnx, given.used())
