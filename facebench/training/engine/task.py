"""Interface of a training task."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor, nn

from facebench.core.errors import InputError
from facebench.training.data.faces import Batch, Faces
from facebench.training.engine.model_file import ModelFile
from facebench.training.engine.rng import StepRng
from facebench.training.engine.settings import TrainConfig


class Task(ABC):
    """A network, its data, its losses, and its evaluation; the training loop does everything else."""

    network: nn.Module
    """The network that is trained and saved."""
    faces: Faces
    """The training set."""
    best_metric: tuple[str, bool] | None = None
    """Key of `evaluate` that selects the best checkpoint, and whether higher is better."""

    warnings: tuple[str, ...] = ()
    """Messages for the user before training starts."""
    lr_factor: float = 1.0
    """Factor of the learning rate; `on_evaluation` may change it."""
    finished: bool = False
    """Whether training ends before its last step; `on_evaluation` may set it."""
    keep_best: bool = False
    """Whether the model file holds the best checkpoint instead of the last one."""

    @abstractmethod
    def losses(self, network: nn.Module, batch: Batch, rng: StepRng) -> dict[str, Tensor]:
        """Compute the losses of a batch: the scalar `loss` is minimised, and all are logged."""

    @abstractmethod
    def model(self, network: nn.Module, provenance: Mapping[str, Any]) -> ModelFile:
        """Convert the network to a model file."""

    def preview(self, network: nn.Module) -> dict[str, NDArray[np.uint8]]:
        """Generate sample images (height, width, 3) by name."""
        return {}

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """Compute metrics by name."""
        return {}

    def generate(self, network: nn.Module, count: int) -> NDArray[np.uint8]:
        """Generate images (count, height, width, 3) with the random numbers of torch.

        Raises:
            InputError: the task makes no images.
        """
        raise InputError("This training makes no images, so it has no `evaluation`. Remove the setting.")

    def initial_optimizer(self) -> dict[str, Tensor]:
        """Return the state with which the optimizer starts, as in checkpoints; empty for a new optimizer."""
        return {}

    def begin_step(self, step: int) -> bool:
        """Prepare a step, from 0; return whether a new phase starts, before which the optimizer forgets its state."""
        return False

    def on_evaluation(self, numbers: Mapping[str, float]) -> None:  # noqa: B027 - optional
        """Adapt `lr_factor` and `finished` to an evaluation."""

    def state(self) -> dict[str, Any]:
        """Return the state of `on_evaluation` as plain values, for checkpoints."""
        return {}

    def restore(self, state: Mapping[str, Any]) -> None:  # noqa: B027
        """Restore the state."""

    def resolve(self, config: TrainConfig) -> TrainConfig:
        """Fill in settings that depend on the data, such as the number of steps."""
        return config

    def checkpoint_state(self, network: nn.Module) -> dict[str, Tensor]:
        """Return the part of the network's state that training changes, for checkpoints."""
        return network.state_dict()

    def parameters(self) -> list[nn.Parameter]:
        """Return the trained parameters."""
        return [parameter for parameter in self.network.parameters() if parameter.requires_grad]

    def clip_groups(self) -> list[list[nn.Parameter]]:
        """Return groups of parameters whose gradients are clipped separately."""
        return [self.parameters()]
