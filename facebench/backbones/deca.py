"""DECA: parameters of the FLAME head model from one image.

Measures: 3D shape, texture, expression, pose, camera and light of a face.
Input: crop `face224`, RGB, [0, 1], without mean or deviation.
Arrays: `shape` (n, 100), `tex` (n, 50), `exp` (n, 50), `pose` (n, 6), `cam` (n, 3), `light` (n, 9, 3).
Licence: DECA licence (Max Planck), non-commercial scientific research only, after registration.
Paper: Feng et al. 2021, "Learning an animatable detailed 3D face model from in-the-wild images".
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torchvision.models import resnet50

from facebench.backbones.base import Image, load_strictly
from facebench.backbones.crops import FACE224
from facebench.backbones.resize import standardise
from facebench.backbones.torch_network import TorchBackbone, unfilled
from facebench.backbones.weights import WeightsSource
from facebench.core.errors import InputError

CODES: Mapping[str, int] = {"shape": 100, "tex": 50, "exp": 50, "pose": 6, "cam": 3, "light": 27}
"""Names and sizes of the codes, in the order of the network's 236 outputs."""
OUTPUTS = sum(CODES.values())


class CoarseEncoder(nn.Module):
    """ResNet-50 and two linear layers: (n, 3, 224, 224) in [0, 1] to (n, outputs)."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.encoder: nn.Module = resnet50(weights=None)
        self.encoder.fc = nn.Identity()
        self.layers = nn.Sequential(nn.Linear(2048, 1024), nn.ReLU(), nn.Linear(1024, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """Compute the concatenated codes."""
        codes: Tensor = self.layers(self.encoder(x))
        return codes


class Deca(TorchBackbone):
    """DECA's coarse codes: `shape` (n, 100), `tex` 50, `exp` 50, `pose` 6, `cam` 3 and `light` (n, 9, 3).

    `shape`, `tex` and `exp` are coefficients in standard deviations. `pose` holds two axis-angle vectors in
    radians: head rotation and jaw rotation. `cam` is scale and translation. `light` holds nine
    spherical-harmonic coefficients per channel.

    The entry E_flame of `deca_model.tar` is read. The detail encoder is not used.
    """

    crop = "face224"
    preprocessing = "face224-deca-box-rgb-v1"
    arrays = tuple(CODES)

    def preprocess(self, image: Image) -> Tensor:
        """Convert a uint8 RGB crop (224, 224, 3) to float32 (3, 224, 224) in [0, 1].

        Raises:
            InputError: the image has another size. The shape code depends on the crop.
        """
        if image.shape != (FACE224, FACE224, 3):
            raise InputError(
                f"{self.name} needs a face crop of 224 x 224, not an image of shape {image.shape}. "
                "Crop it first: facebench.backbones.crops.deca_crop."
            )
        return standardise(image, (0.0,) * 3, (1.0,) * 3)

    def run(self, batch: Tensor) -> dict[str, Tensor]:
        """Compute the codes."""
        return split(self.network(batch))


def split(codes: Tensor) -> dict[str, Tensor]:
    """Split DECA's outputs (n, 236) into named codes; `light` becomes (n, 9, 3).

    Example:
        >>> {name: tuple(part.shape) for name, part in split(torch.zeros(1, 236)).items()}["light"]
        (1, 9, 3)
    """
    parts = dict(zip(CODES, torch.split(codes, list(CODES.values()), dim=1), strict=True))
    return parts | {"light": parts["light"].reshape(-1, 9, 3)}


def build(name: str, source: WeightsSource, device: str) -> Deca:
    """Build `deca`.

    Raises:
        WeightsError: the weights belong to another network than E_flame.
    """
    network = unfilled(lambda: CoarseEncoder(OUTPUTS))
    load_strictly(network, source.state_dict(entry="E_flame"), name)
    return Deca(name, network, source.used(), device)
