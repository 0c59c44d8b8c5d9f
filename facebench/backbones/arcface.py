"""ArcFace: face identity as a direction in 512 dimensions.

Source: Deng et al. 2019, "ArcFace: Additive angular margin loss for deep face recognition"; weights by
insightface, for non-commercial research only.
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
from facebench.backbones.weights import Given

Floats = npt.NDArray[np.float32]


class ArcFace(Backbone):
    """ArcFace embeddings of aligned faces: `embedding` (n, 512) of unit norm and `norm` (n,).

    Crop `face112` (five-point alignment to 112 x 112), RGB, (x / 255 - 0.5) / 0.5, one pass without
    mirroring. The similarity of two faces is the dot product of their embeddings, in [-1, 1]. `norm` is the
    length of the raw embedding, so `embedding * norm` is the network's own output. BGR order, a plain resize
    or a detector box instead of alignment still give plausible similarities, and all of them wrong.

    `arcface-iresnet18`, `-50` and `-100` read insightface's PyTorch checkpoints (DataParallel's "module." is
    dropped); `arcface-buffalo_l` (w600k_r50.onnx) and `arcface-antelopev2` (glintr100.onnx) read ONNX files.
    """

    crop = "face112"
    preprocessing = "face112-rgb-v1"
    arrays = ("embedding", "norm")

    def preprocess(self, image: Image) -> Tensor:
        """Turn an aligned uint8 RGB face (112, 112, 3) into float32 (3, 112, 112) in [-1, 1].

        Raises:
            InputError: another size.
        """
        return face_input(image, self.name)


class TorchArcFace(ArcFace, TorchBackbone):
    """ArcFace from a PyTorch checkpoint; see `ArcFace`."""

    def run(self, batch: Tensor) -> dict[str, Tensor]:
        """Unit embeddings and the norms of the raw ones."""
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
        """Unit embeddings and the norms of the raw ones."""
        return unit_and_norm(self._onnx(batch.cpu().numpy()))


def flip_summed(backbone: Backbone, batch: Tensor) -> Floats:
    """Unit embeddings of each face and its mirror image together, as insightface's LFW protocol scores them.

    The two raw embeddings are added before normalising. Numbers made this way are not comparable with those
    of one pass: say which.

    Args:
        backbone: an ArcFace backbone.
        batch: preprocessed faces (n, 3, 112, 112).

    Returns:
        Float32 (n, 512), rows of unit norm.
    """
    one, other = (backbone.embed(view) for view in (batch, batch.flip(-1)))
    summed = one["embedding"] * one["norm"][:, None] + other["embedding"] * other["norm"][:, None]
    return unit_and_norm(summed)["embedding"]


def build(name: str, given: Given, device: str) -> ArcFace:
    """Build one of the ArcFace backbones.

    Raises:
        WeightsError: the weights are not those of this network; names the first key or the file's signature.
    """
    depths = DEPTHS.get(name.removeprefix("arcface-"))
    if depths is None:
        return OnnxArcFace(name, OnnxNetwork(given.file(), size=112, columns=EMBEDDING), given.used())
    network = unfilled(lambda: IResNet(depths))
    load_strictly(network, given.state_dict("module."), name)
    return TorchArcFace(name, network, given.used(), device)
