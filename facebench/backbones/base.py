"""Interface of a backbone: preprocessing, one network, named arrays."""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import numpy.typing as npt

from facebench.core.errors import WeightsError

if TYPE_CHECKING:  # results that are known need no torch, whose import takes a second
    import torch
    from torch import Tensor, nn

Image = npt.NDArray[np.uint8]
Crop = Literal["image", "face112", "face150", "face256", "face224"]
"""Input of a backbone: the whole image, or a face crop of this side; see `face_alignment.crop`."""


@dataclass(frozen=True)
class WeightsUsed:
    """Trained weights of a backbone, as the run record states them."""

    name: str
    """Name of the registry entry, "state dict", or the name of the user's file."""
    sha256: str
    """Sha256 of the file. For a state dict: of the names, shapes and bytes of all tensors."""
    licence: str = "unknown"
    verified: bool = False
    """Whether the sha256 is published."""
    fingerprint: str = ""
    """Source of the fingerprint, or date and origin of the pinned copy."""
    unofficial: bool = False
    """Whether these are other weights than the published ones; their numbers are not comparable."""


class Backbone(ABC):
    """A network with the preprocessing that its outputs depend on.

    `preprocess` takes one uint8 RGB image (height, width, 3), cropped as `crop` states, and returns one float32
    tensor. `embed` takes these tensors stacked, without further normalisation. It returns named arrays with one
    row per input.
    """

    name: str
    crop: ClassVar[Crop] = "image"
    """Input of `preprocess`: the whole image, or a crop of `facebench.backbones.face_alignment`."""
    preprocessing: str
    """Identifier of crop, resize filter, colour order and scaling, e.g. "tf1-bilinear-299-v1".

    It changes whenever the result of `preprocess` changes. It is part of the feature store's key.
    """
    arrays: tuple[str, ...]
    """Names of the arrays that `embed` returns."""
    network: nn.Module | None
    """The PyTorch module; None for ONNX networks."""
    weights: WeightsUsed
    device: torch.device

    @abstractmethod
    def preprocess(self, image: Image) -> Tensor:
        """Convert one uint8 RGB image (height, width, 3) to the float32 input of the network."""

    @abstractmethod
    def embed(self, batch: Tensor) -> dict[str, npt.NDArray[np.float32]]:
        """Run the network on stacked inputs; every array has one row per input."""


def load_strictly(network: nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    """Load weights into a network; every name and every shape must match.

    Args:
        network: the network, filled in place.
        state: the weights by parameter name.
        what: name of the backbone for error messages.

    Raises:
        WeightsError: a parameter is missing, unexpected or has another shape; names the first one.
    """
    expected = network.state_dict()
    for key, value in expected.items():
        if key not in state:
            raise WeightsError(
                f"{what}: the weights lack '{key}'. Is this the checkpoint of another network?"
            )
        if state[key].shape != value.shape:
            raise WeightsError(
                f"{what}: '{key}' has shape {tuple(state[key].shape)}, the network needs {tuple(value.shape)}."
            )
    for key in state:
        if key not in expected:
            raise WeightsError(f"{what}: the weights contain '{key}', which the network does not have.")
    network.load_state_dict(dict(state), strict=True)


def state_digest(state: Mapping[str, Tensor]) -> str:
    """Return the sha256 of the names, shapes and bytes of all tensors, independent of their order."""
    import torch

    digest = hashlib.sha256()
    for key in sorted(state):
        tensor = state[key].detach().cpu().contiguous()
        digest.update(f"{key}:{tuple(tensor.shape)}:{tensor.dtype};".encode())
        digest.update(tensor.reshape(-1).view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
