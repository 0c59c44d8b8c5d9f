"""What a kind of training has to say for itself; the loop does everything else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from facebench.training.data.faces import Batch, Faces
from facebench.training.draws import Draws
from facebench.training.model_file import ModelFile


class Task(ABC):
    """One kind of training: a network, its data, its loss, and how to look at what it has learnt."""

    network: nn.Module
    """What is trained, averaged and saved."""
    faces: Faces
    score: tuple[str, bool] | None = None
    """Name of the entry of `evaluate` that picks the best checkpoint, and whether higher is better."""

    @abstractmethod
    def losses(self, network: nn.Module, batch: Batch, draws: Draws) -> dict[str, Tensor]:
        """Losses of a batch: the scalar `loss` is minimised, all others are logged."""

    @abstractmethod
    def model(self, network: nn.Module, provenance: Mapping[str, Any]) -> ModelFile:
        """The network as a file that other commands read."""

    def preview(self, network: nn.Module) -> dict[str, NDArray[np.uint8]]:
        """Pictures by name, (height, width, 3), that show what the network can do."""
        return {}

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """A few quick numbers by name."""
        return {}

    def kept(self, network: nn.Module) -> dict[str, Tensor]:
        """What of a network's state a checkpoint holds: what training changes."""
        return network.state_dict()

    def parameters(self) -> list[nn.Parameter]:
        """What the optimiser moves."""
        return [parameter for parameter in self.network.parameters() if parameter.requires_grad]
