"""SFace: face identity as a unit vector of 128 numbers, from an ONNX file.

Measures: identity; the cosine of two embeddings is high for images of the same person.
Input: aligned crop `face112`, RGB, uint8 0 to 255 as float32; the network subtracts 127.5 and divides by 128.
Arrays: `embedding` (n, 128) of unit length, `norm` (n,).
Licence: Apache-2.0 (OpenCV zoo, int8 block-quantised file of 2021-12).
Paper: Zhong et al. 2021, "SFace: Sigmoid-constrained hypersphere loss for robust face recognition".
"""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import numpy.typing as npt

from facebench.backbones.base import Crop, Image
from facebench.backbones.torch_network import Deferred, TorchBackbone
from facebench.backbones.weights import WeightsSource

if TYPE_CHECKING:  # known embeddings need no torch, whose import takes a second
    from torch import Tensor, nn


class SFace(TorchBackbone):
    """SFace embeddings of aligned faces: `embedding` (n, 128) of unit length and `norm` (n,).

    The similarity of two faces is the dot product of their embeddings, in [-1, 1]. `norm` is the length of the
    raw output.
    """

    crop: ClassVar[Crop] = "face112"
    preprocessing = "rgb-0-255-v1"
    arrays = ("embedding", "norm")
    channels_last = True

    def preprocess(self, image: Image) -> Tensor:
        """Convert an aligned crop, uint8 (112, 112, 3) RGB, to float32 (3, 112, 112), 0 to 255."""
        return to_input(image)

    def run(self, batch: Tensor) -> dict[str, Tensor]:
        """Compute raw vectors (n, 128) of crops (n, 3, 112, 112)."""
        return {"vectors": self.network(batch)}

    def embed(self, batch: Tensor) -> dict[str, npt.NDArray[np.float32]]:
        """Compute `embedding` and `norm` of crops (n, 3, 112, 112)."""
        return unit_and_norm(super().embed(batch)["vectors"])


def build(name: str, source: WeightsSource, device: str) -> SFace:
    """Build `sface`; verified weights are read on first use.

    Raises:
        WeightsError: the file is missing, damaged or contains another network.
    """
    return SFace(name, network_of(source), source.used(), device)


def network_of(source: WeightsSource) -> nn.Module | Deferred:
    """Return the network in SFace's ONNX file; one with verified weights is read on first use."""
    path = source.file()
    return Deferred(partial(_read, path)) if source.used().verified else _read(path)


def _read(path: Path) -> nn.Module:
    from facebench.backbones.sface_network import read_network  # here, because it imports torch

    return read_network(path)


def to_input(image: Image) -> Tensor:
    """Convert uint8 (height, width, 3) to float32 (3, height, width), 0 to 255."""
    import torch

    return torch.from_numpy(np.ascontiguousarray(image.transpose(2, 0, 1))).float()


def unit_and_norm(vectors: npt.NDArray[np.float32]) -> dict[str, npt.NDArray[np.float32]]:
    """Split vectors (n, d) into `embedding` of unit length and `norm`; a zero vector gives NaN."""
    exact = vectors.astype(np.float64)
    norm = np.linalg.norm(exact, axis=1)
    with np.errstate(invalid="ignore"):
        unit = exact / norm[:, None]
    return {"embedding": unit.astype(np.float32), "norm": norm.astype(np.float32)}
