"""ArcFace: face identity as a unit vector of 512 numbers.

Measures: identity; the cosine of two embeddings is high for images of the same person.
Input: aligned crop `face112`, RGB, (x / 255 - 0.5) / 0.5.
Arrays: `embedding` (n, 512) of unit length, `norm` (n,).
Licence: insightface models, non-commercial research only.
Paper: Deng et al. 2019, "ArcFace: Additive angular margin loss for deep face recognition".
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from facebench.backbones.base import Backbone, Image, WeightsUsed, load_strictly
from facebench.backbones.iresnet import DEPTHS, EMBEDDING, IResNet, face_input
from facebench.backbones.onnx_network import OnnxNetwork
from facebench.backbones.sface import unit_and_norm
from facebench.backbones.torch_network import TorchBackbone, unfilled
from facebench.backbones.weights import WeightsSource

Floats = npt.NDArray[np.float32]


class ArcFace(Backbone):
    """ArcFace embeddings of aligned faces: `embedding` (n, 512) of unit length and `norm` (n,).

    One forward pass, without mirroring. The similarity of two faces is the dot product of their embeddings, in
    [-1, 1]. `norm` is the length of the raw embedding, so `embedding * norm` is the raw output.

    BGR order, a plain resize or a detector's box instead of alignment gives plausible but wrong similarities.

    `arcface-iresnet18`, `-50` and `-100` read insightface's PyTorch checkpoints, with or without the prefix
    "module." of DataParallel. `arcface-buffalo_l` (w600k_r50.onnx) and `arcface-antelopev2` (glintr100.onnx) read
    ONNX files, which run on the CPU.
    """

    crop = "face112"
    preprocessing = "face112-rgb-v1"
    arrays = ("embedding", "norm")

    def preprocess(self, image: Image) -> Tensor:
        """Convert an aligned uint8 RGB face (112, 112, 3) to float32 (3, 112, 112) in [-1, 1].

        Raises:
            InputError: the image has another size.
        """
        return face_input(image, self.name)


class TorchArcFace(ArcFace, TorchBackbone):
    """ArcFace from a PyTorch checkpoint; see `ArcFace`."""

    def run(self, batch: Tensor) -> dict[str, Tensor]:
        """Compute `embedding` and `norm`."""
        raw = self.network(batch).double()
        norm = raw.norm(dim=1)
        return {"embedding": raw / norm[:, None], "norm": norm}


class OnnxArcFace(ArcFace):
    """ArcFace from an ONNX file, on the CPU; see `ArcFace`."""

    def __init__(self, name: str, onnx: OnnxNetwork, weights: WeightsUsed) -> None:
        self.name = name
        self.weights = weights
        self.network = None
        self.device = torch.device("cpu")
        self._onnx = onnx

    def embed(self, batch: Tensor) -> dict[str, Floats]:
        """Compute `embedding` and `norm`."""
        return unit_and_norm(self._onnx(batch.cpu().numpy()))


def flip_summed(backbone: Backbone, batch: Tensor) -> Floats:
    """Compute embeddings of faces together with their mirror images, as in insightface's LFW protocol.

    The two raw embeddings are added before normalisation. Results are not comparable with those of one pass.

    Args:
        backbone: an ArcFace backbone.
        batch: preprocessed faces (n, 3, 112, 112).

    Returns:
        float32 (n, 512), rows of unit length.
    """
    plain, mirrored = (backbone.embed(view) for view in (batch, batch.flip(-1)))
    summed = plain["embedding"] * plain["norm"][:, None] + mirrored["embedding"] * mirrored["norm"][:, None]
    return unit_and_norm(summed)["embedding"]


def build(name: str, source: WeightsSource, device: str) -> ArcFace:
    """Build an ArcFace backbone.

    Raises:
        WeightsError: the weights belong to another network.
    """
    depths = DEPTHS.get(name.removeprefix("arcface-"))
    if depths is None:
        return OnnxArcFace(name, OnnxNetwork(source.file(), size=112, columns=EMBEDDING), source.used())
    network = unfilled(lambda: IResNet(depths))
    load_strictly(network, source.state_dict("module."), name)
    return TorchArcFace(name, network, source.used(), device)
