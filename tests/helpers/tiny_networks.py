"""Small networks, fast enough to run hundreds of times."""

from __future__ import annotations

import cv2
import numpy as np
import torch
from torch import Tensor, nn

from facebench.backbones.base import Image, WeightsUsed, state_digest
from facebench.backbones.torch_network import TorchBackbone
from facebench.features.engine import fused_cpu


class Tiny(TorchBackbone):
    """Four convolutions and a linear layer with seeded weights; records the sizes of its batches."""

    arrays = ("features", "brightness")

    def __init__(self, name: str = "tiny", seed: int = 0, device: str = "cpu") -> None:
        torch.manual_seed(seed)
        network = nn.Sequential(
            nn.Conv2d(3, 16, 3, 2),
            nn.ReLU(),
            nn.Conv2d(16, 32, 3, 2),
            nn.ReLU(),
            nn.Conv2d(32, 32, 3, 2),
            nn.BatchNorm2d(32),
            nn.Conv2d(32, 32, 1),
            nn.Flatten(),
            nn.Linear(1568, 48),
        )
        weights = WeightsUsed("state dict", state_digest(network.state_dict()))
        super().__init__(name, network, weights, device)
        self.preprocessing = "area64-v1"
        self.batches: list[int] = []

    def preprocess(self, image: Image) -> Tensor:
        small = cv2.resize(image, (64, 64), interpolation=cv2.INTER_AREA)
        return torch.from_numpy(small).permute(2, 0, 1).float() / 255

    def embed(self, batch: Tensor) -> dict[str, np.ndarray]:
        if len(batch) > 1 and not torch.equal(batch.cpu(), fused_cpu.probe(batch.shape)):
            self.batches.append(len(batch))
        return super().embed(batch)

    def run(self, batch: Tensor) -> dict[str, Tensor]:
        return {"features": self.network(batch), "brightness": batch.mean(dim=(1, 2, 3))}


class TinyFace(Tiny):
    """Network for aligned faces."""

    crop = "face112"


class TinyBox(Tiny):
    """Network for box crops of faces."""

    crop = "face256"
