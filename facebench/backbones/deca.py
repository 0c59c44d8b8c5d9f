"""DECA: shape, expression, pose and light of a face as parameters of the FLAME head.

Source: Feng et al. 2021, "Learning an animatable detailed 3D face model from in-the-wild images"; weights for
non-commercial research, after accepting the licence on the authors' site.
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
from facebench.backbones.weights import Given
from facebench.core.errors import InputError

# In the order of the network's 236 outputs.
CODES: Mapping[str, int] = {"shape": 100, "tex": 50, "exp": 50, "pose": 6, "cam": 3, "light": 27}
OUTPUTS = sum(CODES.values())


class CoarseEncoder(nn.Module):
    """ResNet-50 and two linear layers: (n, 3, 224, 224) in [0, 1] to (n, outputs)."""

    def __init__(self, outputs: int) -> None:
        super().__init__()
        self.encoder: nn.Module = resnet50(weights=None)
        self.encoder.fc = nn.Identity()
        self.layers = nn.Sequential(nn.Linear(2048, 1024), nn.ReLU(), nn.Linear(1024, outputs))

    def forward(self, x: Tensor) -> Tensor:
        """The codes side by side."""
        codes: Tensor = self.layers(self.encoder(x))
        return codes


class Deca(TorchBackbone):
    """DECA's coarse codes: `shape` (n, 100), `tex` 50, `exp` 50, `pose` 6, `cam` 3 and `light` (n, 9, 3).

    Crop `face224` (`facebench.backbones.crops`), RGB in [0, 1], no mean or deviation. Shape and expression
    are FLAME coefficients in standard deviations; pose holds two axis-angle vectors in radians, the head's
    rotation and the jaw's; cam is scale and shift; light holds nine spherical-harmonic coefficients a
    channel.

    Reads `deca_model.tar`, of which only the entry E_flame is needed. The detail encoder is not part of it.
    """

    crop = "face224"
    preprocessing = "face224-deca-box-rgb-v1"
    arrays = tuple(CODES)

    def preprocess(self, image: Image) -> Tensor:
        """Turn a uint8 RGB crop (224, 224, 3) into float32 (3, 224, 224) in [0, 1].

        Raises:
            InputError: another size: how the face is cut out is part of the shape code.
        """
        if image.shape != (FACE224, FACE224, 3):
            raise InputError(
                f"{self.name} reads face crops of 224 x 224, not an image of shape {image.shape}. "
                "Cut them out first: facebench.backbones.crops.deca_crop."
            )
        return standardise(image, (0.0,) * 3, (1.0,) * 3)

    def run(self, batch: Tensor) -> dict[str, Tensor]:
        """The named codes."""
        return split(self.network(batch))


def split(codes: Tensor) -> dict[str, Tensor]:
    """Name the parts of DECA's 236 numbers (n, 236); `light` becomes (n, 9, 3).

    Example:
        >>> {name: tuple(part.shape) for name, part in split(torch.zeros(1, 236)).items()}["light"]
        (1, 9, 3)
    """
    parts = dict(zip(CODES, torch.split(codes, list(CODES.values()), dim=1), strict=True))
    return parts | {"light": parts["light"].reshape(-1, 9, 3)}


def build(name: str, given: Given, device: str) -> Deca:
    """Build `deca`.

    Raises:
        WeightsError: the weights are not those of E_flame; names the first key that does not fit.
    """
    network = unfilled(lambda: CoarseEncoder(OUTPUTS))
    load_strictly(network, given.state_dict(entry="E_flame"), name)
    return Deca(name, network, given.used(), device)
