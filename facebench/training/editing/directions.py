"""Directions in z_sem: what edits a face, whichever way it was found.

All ways answer the same question, where to move a normalised code so that an attribute grows: the official linear
classifier, the classical linear methods, ridge regression for valence and arousal, and a small network whose
gradient is followed. Any of them may avoid a subspace that says who the person is.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from facebench.core.errors import InputError
from facebench.training.editing.linear import LatentStatistics
from facebench.training.engine import model_file
from facebench.training.engine.model_file import ModelFile
from facebench.training.models.load import located

LINEAR_METHODS = ("linear", "logistic", "lda", "svm", "ridge", "mean")
METHODS = (*LINEAR_METHODS, "mlp")
GRADIENT_STEPS = 10


class AttributeMLP(nn.Module):
    """Two hidden layers from a normalised code to one score per attribute."""

    def __init__(self, code_channels: int, hidden: int, attributes: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Linear(code_channels, hidden),
            nn.SiLU(),
            nn.Dropout(0.2),
            nn.Linear(hidden, hidden),
            nn.SiLU(),
            nn.Dropout(0.2),
            nn.Linear(hidden, attributes),
        )

    def forward(self, z: Tensor) -> Tensor:
        """Map (n, d) to (n, attributes)."""
        scores: Tensor = self.layers(z)
        return scores


@dataclass(frozen=True, eq=False)
class Directions:
    """Ways to move normalised codes.

    Attributes:
        method: one of `METHODS`.
        attributes: names of what can be edited.
        statistics: mean and deviation that normalise z_sem.
        weight: (attributes, d) directions of the linear methods; None for the network.
        network: the network of the method "mlp".
        avoid: (k, d) orthonormal rows that edits must not move along; (0, d) for none.
    """

    method: str
    attributes: tuple[str, ...]
    statistics: LatentStatistics
    weight: Tensor | None = None
    network: AttributeMLP | None = None
    avoid: Tensor = field(default_factory=lambda: torch.zeros(0, 0))

    def edit(self, z_sem: Tensor, attribute: str, strength: float) -> Tensor:
        """Move codes.

        Strength 1 is a path as long as a typical normalised code, sqrt(d); the official notebook uses 0.3. The
        network's path is bent: a tenth of it at a time along its gradient.

        Args:
            z_sem: (n, d) codes.
            attribute: one of `attributes`.
            strength: positive for more of it.

        Returns:
            (n, d) edited codes.

        Raises:
            InputError: no such attribute.
        """
        if attribute not in self.attributes:
            raise InputError(
                f"There is no direction for '{attribute}', but for: {', '.join(self.attributes)}."
            )
        row = self.attributes.index(attribute)
        z = self.statistics.normalise(z_sem)
        length = strength * z.shape[1] ** 0.5
        if self.weight is not None:
            z = z + length * self._unit(self.weight[row][None])
        else:
            for _ in range(GRADIENT_STEPS):
                z = z + length / GRADIENT_STEPS * self._unit(self._gradient(z, row))
        return self.statistics.denormalise(z)

    def to(self, device: torch.device | str) -> Directions:
        """The same directions on a device."""
        statistics = LatentStatistics(self.statistics.mean.to(device), self.statistics.std.to(device))
        return Directions(
            self.method,
            self.attributes,
            statistics,
            None if self.weight is None else self.weight.to(device),
            None if self.network is None else self.network.to(device),
            self.avoid.to(device),
        )

    def _unit(self, direction: Tensor) -> Tensor:
        if self.avoid.numel():
            direction = direction - direction @ self.avoid.T @ self.avoid
        length = direction.norm(dim=1, keepdim=True)
        if bool((length < 1e-12).any()):
            raise InputError("Nothing is left of an editing direction: it lies in what edits must avoid.")
        unit: Tensor = direction / length
        return unit

    @torch.enable_grad()
    def _gradient(self, z: Tensor, row: int) -> Tensor:
        assert self.network is not None
        z = z.detach().requires_grad_(True)
        (gradient,) = torch.autograd.grad(self.network.eval()(z)[:, row].sum(), z)
        return gradient


def write(path: Path, directions: Directions, provenance: dict[str, Any]) -> None:
    """Write directions as one safetensors file."""
    tensors = {
        "mean": directions.statistics.mean,
        "std": directions.statistics.std,
        "avoid": directions.avoid,
    }
    architecture: dict[str, Any] = {"method": directions.method, "attributes": list(directions.attributes)}
    if directions.weight is not None:
        tensors["weight"] = directions.weight
    if directions.network is not None:
        tensors |= {f"network.{name}": value for name, value in directions.network.state_dict().items()}
        architecture["hidden"] = directions.network.layers[0].out_features
    model_file.write(path, ModelFile("directions", tensors, architecture, provenance))


def read(path: Path) -> Directions:
    """Read directions: a file, the folder it lies in, or shipped ones by their name.

    Raises:
        InputError: there is no such file.
        WeightsError: it holds no directions.
    """
    path = located(path)
    path = path / "directions.safetensors" if path.is_dir() else path
    found = model_file.read(path, "directions")
    attributes = tuple(found.architecture["attributes"])
    statistics = LatentStatistics(found.tensors["mean"], found.tensors["std"])
    network = None
    if "hidden" in found.architecture:
        network = AttributeMLP(len(statistics.mean), int(found.architecture["hidden"]), len(attributes))
        prefix = "network."
        state = {k.removeprefix(prefix): v for k, v in found.tensors.items() if k.startswith(prefix)}
        model_file.into(network, ModelFile("directions", state, {}), str(path))
    return Directions(
        str(found.architecture["method"]),
        attributes,
        statistics,
        found.tensors.get("weight"),
        network,
        found.tensors["avoid"],
    )


def describe(path: Path) -> str:
    """What a file of directions was made from, as JSON text."""
    return json.dumps(model_file.read(path, "directions").provenance, indent=1)
