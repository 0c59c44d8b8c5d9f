"""What a kind of training has to say for itself; the loop does everything else."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from facebench.training.data.faces import Batch, Faces
from facebench.training.engine.model_file import ModelFile
from facebench.training.engine.rng import StepRng
from facebench.training.engine.settings import TrainConfig


class Task(ABC):
    """One kind of training: a network, its data, its loss, and how to look at what it has learnt."""

    network: nn.Module
    """What is trained, averaged and saved."""
    faces: Faces
    best_metric: tuple[str, bool] | None = None
    """Name of the entry of `evaluate` that picks the best checkpoint, and whether higher is better."""

    warnings: tuple[str, ...] = ()
    """What people should know about the data before training starts."""
    lr_factor: float = 1.0
    """Factor on the learning rate; `on_evaluation` may change it."""
    finished: bool = False
    """Whether training should end before its last step; `on_evaluation` may say so."""
    keep_best: bool = False
    """Whether the model is made of the best checkpoint and not of the last."""

    @abstractmethod
    def losses(self, network: nn.Module, batch: Batch, rng: StepRng) -> dict[str, Tensor]:
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

    def on_evaluation(self, numbers: Mapping[str, float]) -> None:  # noqa: B027 - most tasks conclude nothing
        """Draw conclusions from an evaluation: set `lr_factor` and `finished`."""

    def state(self) -> dict[str, Any]:
        """What `on_evaluation` remembers, as plain values; it goes into checkpoints."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:  # noqa: B027
        """Go on from a state."""

    def resolve(self, config: TrainConfig) -> TrainConfig:
        """The settings with what depends on the data filled in, such as the steps of an epoch."""
        return config

    def checkpoint_state(self, network: nn.Module) -> dict[str, Tensor]:
        """What of a network's state a checkpoint holds: what training changes."""
        return network.state_dict()

    def parameters(self) -> list[nn.Parameter]:
        """What the optimiser moves."""
        return [parameter for parameter in self.network.parameters() if parameter.requires_grad]

    def clip_groups(self) -> list[list[nn.Parameter]]:
        """Groups of parameters whose gradients are clipped, each to its own norm."""
        return [self.parameters()]
