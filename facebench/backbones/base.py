"""What every backbone is: preprocessing, one network, named arrays."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from facebench.core.errors import WeightsError

Image = npt.NDArray[np.uint8]
Crop = Literal["image", "face112", "face256", "face224"]


@dataclass(frozen=True)
class WeightsUsed:
    """Which trained weights a backbone runs with, as the run record quotes them."""

    name: str
    """Name of the file in the registry, or "state dict" / the file name when the user gave them."""
    sha256: str
    """Of the file; of the names and bytes of all tensors when a state dict was given."""
    licence: str = "unknown"
    verified: bool = False
    """True when the digest is one that was published."""
    fingerprint: str = ""
    """Where the digest was published, or since when and from where a copy is trusted."""
    unofficial: bool = False
    """True for weights other than the published ones: numbers made with them compare with nobody else's."""


class Backbone(ABC):
    """A network together with the preprocessing its numbers depend on.

    `preprocess` takes one uint8 image (height, width, 3), RGB, already cropped as `crop` says, and returns
    one float32 tensor; `embed` takes those tensors stacked and returns named arrays with one row each. It
    never normalises twice. Preprocessing is part of the identity of every number: `preprocessing` changes
    whenever its result does, and is part of the feature store's key.
    """

    name: str
    crop: ClassVar[Crop] = "image"
    """What `preprocess` must be given: the whole image, or a crop made by `facebench.backbones.face_detection`."""
    preprocessing: str
    """Identity and version of crop, resize filter, colour order and scaling, e.g. "tf1-bilinear-299-v1"."""
    arrays: tuple[str, ...]
    network: nn.Module | None
    weights: WeightsUsed
    device: torch.device

    @abstractmethod
    def preprocess(self, image: Image) -> Tensor:
        """Turn one uint8 RGB image (height, width, 3) into the network's float32 input."""

    @abstractmethod
    def embed(self, batch: Tensor) -> dict[str, npt.NDArray[np.float32]]:
        """Run the network on stacked inputs; every array has one row per input."""


def load_strictly(network: nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    """Load official weights by name, and name the first key that does not fit.

    Raises:
        WeightsError: a key is missing, unexpected or has another shape.
    """
    own = network.state_dict()
    for key, value in own.items():
        if key not in state:
            raise WeightsError(
                f"{what}: the weights lack '{key}'. Is this the checkpoint of another network?"
            )
        if state[key].shape != value.shape:
            raise WeightsError(
                f"{what}: '{key}' has shape {tuple(state[key].shape)}, the network needs {tuple(value.shape)}."
            )
    for key in state:
        if key not in own:
            raise WeightsError(f"{what}: the weights hold '{key}', which the network does not have.")
    network.load_state_dict(dict(state), strict=True)


def state_digest(state: Mapping[str, Tensor]) -> str:
    """Sha256 over the names, shapes and bytes of all tensors, independent of their order."""
    digest = hashlib.sha256()
    for key in sorted(state):
        tensor = state[key].detach().cpu().contiguous()
        digest.update(f"{key}:{tuple(tensor.shape)}:{tensor.dtype};".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
