"""Affect networks that are trained here: CAGE's MaxViT-T, EfficientNet-B0, and a small network for tests."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from facebench.backbones.maxvit import EXPRESSIONS, maxvit_network
from facebench.backbones.resize import IMAGENET_MEAN, IMAGENET_STD
from facebench.backbones.weights.load import load_checkpoint, select_state
from facebench.core.errors import WeightsError

NetworkKind = Literal["maxvit-combined", "maxvit-va", "efficientnet-b0", "small"]
CLASSES = len(EXPRESSIONS)


class AffectNetwork(nn.Module):
    """Images (n, 3, s, s) in [-1, 1] to `valence`, `arousal` (n,), and `expression` logits (n, 8) unless VA only.

    `body` has the official parameter names, so that its weights can be imported as `maxvit-va` or `maxvit-combined`.
    Its outputs are the logits, valence and arousal.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, kind: NetworkKind) -> None:
        super().__init__()
        self.kind = kind
        self.body = _body(kind)
        self.register_buffer("mean", torch.tensor(IMAGENET_MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", torch.tensor(IMAGENET_STD).view(1, 3, 1, 1), persistent=False)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Compute the named outputs."""
        columns = self.body(((x + 1) / 2 - self.mean) / self.std)
        named = {"valence": columns[:, -2], "arousal": columns[:, -1]}
        return named if self.kind == "maxvit-va" else {**named, "expression": columns[:, :-2]}

    def last_layer(self) -> nn.Linear:
        """Return the layer that gives the outputs."""
        return [layer for layer in self.body.modules() if isinstance(layer, nn.Linear)][-1]


class SmallNetwork(nn.Sequential):
    """Four strided convolutions and a linear layer on a 4 x 4 grid; for tests and small experiments."""

    def __init__(self, outputs: int) -> None:
        widths = (3, 16, 32, 64, 96)
        layers: list[nn.Module] = []
        for before, after in itertools.pairwise(widths):
            layers += [nn.Conv2d(before, after, 3, 2, 1, bias=False), nn.BatchNorm2d(after), nn.ReLU()]
        super().__init__(*layers, nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(widths[-1] * 16, outputs))


def _body(kind: NetworkKind) -> nn.Module:
    if kind == "small":
        return SmallNetwork(CLASSES + 2)
    if kind == "efficientnet-b0":
        import timm

        network: nn.Module = timm.create_model(
            "tf_efficientnet_b0", pretrained=False, num_classes=CLASSES + 2
        )
        return network
    return maxvit_network(kind)


def load_initial(network: AffectNetwork, path: Path) -> list[str]:
    """Load the weights of a checkpoint whose names and shapes match; the last layer may differ.

    Args:
        network: filled in place.
        path: a model of `facebench train affect`, or a checkpoint with the official names, such as torchvision's
            MaxViT-T or timm's EfficientNet-B0 trained on ImageNet.

    Returns:
        Names of parameters that keep their random initial values.

    Raises:
        WeightsError: no more than half of the parameters match, so the checkpoint belongs to another network.
    """
    state = select_state(load_checkpoint(path), str(path), prefix="module.")
    own = network.body.state_dict()
    fitting = {key: value for key, value in state.items() if key in own and own[key].shape == value.shape}
    if 2 * len(fitting) < len(own):
        raise WeightsError(f"{path}: {len(fitting)} of {len(own)} tensors fit the network '{network.kind}'.")
    network.body.load_state_dict(fitting, strict=False)
    return sorted(set(own) - set(fitting))
