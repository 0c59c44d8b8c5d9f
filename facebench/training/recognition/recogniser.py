"""Face recogniser in training: an IResNet backbone and a margin head, which is dropped afterwards."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt
import torch
from pydantic import Field
from torch import Tensor, nn

from facebench.backbones.iresnet import DEPTHS, IResNet
from facebench.core.errors import WeightsError
from facebench.training.data.people import CROP
from facebench.training.engine import model_file
from facebench.training.engine.memory_layout import training_memory_format
from facebench.training.engine.settings import Settings
from facebench.training.models.building import build_for
from facebench.training.recognition.margin_heads import AdaFace, ArcFace, CosFace, MarginHead

KIND = "recognition"
BATCH = 64


class NetworkSettings(Settings):
    """Sizes of the IResNet; the defaults are those of the published networks."""

    name: Literal["iresnet18", "iresnet50", "iresnet100"]
    width: int = Field(64, gt=0)
    """Channels of the first stage."""
    size: Literal[112, 56, 28] = 112
    """Pixels per side of the input; sizes below 112 are averaged from the aligned crop."""
    embedding: int = Field(512, gt=1)
    dropout: float = Field(0.4, ge=0, lt=1)


class HeadSettings(Settings):
    """Margin head, see `facebench.training.recognition.margin_heads`."""

    kind: Literal["cosface", "arcface", "adaface"]
    margin: float = Field(..., ge=0, lt=1)
    scale: float = Field(64.0, gt=0)
    norms: Literal["raw", "unit"] = "raw"
    """Norms that adaface reads; "unit" reproduces ID-Booth's release, which equals CosFace."""


class Recogniser(nn.Module):
    """Backbone and margin head, trained together."""

    def __init__(self, network: NetworkSettings, head: HeadSettings, identities: int) -> None:
        super().__init__()
        self.backbone = build_backbone(network.model_dump())
        initialise(self.backbone)
        # Channels-last convolutions take a fifth less time on CPUs and are the fast layout on GPUs.
        self.memory_format = training_memory_format(self.backbone)
        self.backbone.to(memory_format=self.memory_format)
        self.head = _head(head, network.embedding, identities)

    def forward(self, x: Tensor) -> Tensor:
        """Map faces (n, 3, size, size) in [-1, 1] to raw embeddings (n, embedding)."""
        raw: Tensor = self.backbone(x.contiguous(memory_format=self.memory_format))
        return raw


def build_backbone(architecture: Mapping[str, Any]) -> IResNet:
    """Build the network from the fields of `NetworkSettings`."""
    sizes = {name: value for name, value in architecture.items() if name != "name"}
    return IResNet(DEPTHS[architecture["name"]], **sizes)


def initialise(network: IResNet) -> None:
    """Initialise weights as insightface does: convolutions from N(0, 0.1²), scale of the last norm fixed at 1."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d):
            nn.init.normal_(module.weight, 0, 0.1)
    network.features.weight.requires_grad_(False)


class Trained(NamedTuple):
    """Trained backbone."""

    network: IResNet
    size: int
    """Pixels per side of its input."""


def load_recogniser(path: Path) -> Trained:
    """Load the trained backbone of a run folder or of its `model.safetensors`, in evaluation mode.

    Raises:
        InputError: the file does not exist.
        WeightsError: the file is damaged or holds another kind of model.
    """
    model = model_file.read(path, KIND)
    network = build_for(lambda: build_backbone(model.architecture), model.tensors, str(path))
    try:
        size = int(model.architecture["size"])
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise WeightsError(f"{path}: the sizes of the network are damaged ({error}).") from None
    model_file.load_weights(network, model, str(path))
    return Trained(network, size)


@torch.no_grad()
def embed(network: nn.Module, crops: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.float64]:
    """Compute raw embeddings in float32, regardless of the precision of training.

    Args:
        network: backbone in evaluation mode.
        crops: (n, 112, 112, 3) uint8 RGB aligned faces.
        size: pixels per side of the network's input.

    Returns:
        (n, embedding) float64.
    """
    device = next(network.parameters()).device
    embeddings = []
    for batch in np.array_split(crops, max(1, -(-len(crops) // BATCH))):
        x = torch.from_numpy(np.ascontiguousarray(batch)).permute(0, 3, 1, 2).float() / 127.5 - 1
        embeddings.append(network(reduced(x, size).to(device)).double().cpu().numpy())
    return np.concatenate(embeddings)


def reduced(x: Tensor, size: int) -> Tensor:
    """Average aligned faces (n, 3, 112, 112) down to `size`, a divisor of 112."""
    return x if size == CROP else nn.functional.avg_pool2d(x, CROP // size)


def _head(settings: HeadSettings, embedding: int, identities: int) -> MarginHead:
    margin, scale = settings.margin, settings.scale
    if settings.kind == "adaface":
        return AdaFace(embedding, identities, margin=margin, scale=scale, norms=settings.norms)
    kinds = {"cosface": CosFace, "arcface": ArcFace}
    return kinds[settings.kind](embedding, identities, margin=margin, scale=scale)
