"""Editing directions in z_sem: how to move a latent so that an attribute increases.

    z' = z + strength · √d · u(z),   z = (z_sem − μ) / σ

u is a unit vector: a constant for the linear methods, the normalised gradient of a score for the network. Components
in a subspace to avoid, such as that of the identity, are removed from u before normalisation.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from facebench.core.errors import FacebenchError, InputError, WeightsError
from facebench.core.suggest import suggest
from facebench.training.editing.linear import LatentStatistics, load_official_classifier
from facebench.training.engine import model_file
from facebench.training.engine.model_file import ModelFile
from facebench.training.models.load import OFFICIAL_SUFFIXES, checkpoint, located

LINEAR_METHODS = ("linear", "logistic", "lda", "svm", "ridge", "mean")
METHODS = (*LINEAR_METHODS, "mlp")
GRADIENT_STEPS = 10
"""Steps of equal length in which an edit follows the gradient of the network."""

_SHORTEST = 1e-12
_NETWORK = "network."


class AttributeMLP(nn.Module):
    """Two hidden layers from a normalised latent to one score per attribute."""

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
        """Map normalised latents (n, d) to scores (n, attributes)."""
        scores: Tensor = self.layers(z)
        return scores


@dataclass(frozen=True, eq=False)
class Directions:
    """Editing directions of several attributes.

    Attributes:
        method: one of `METHODS`.
        attributes: names of the attributes.
        statistics: mean and standard deviation that normalise z_sem.
        weight: (attributes, d) directions of the linear methods; None for the network.
        network: network of the method "mlp".
        avoid: (k, d) orthonormal rows that edits must not move along; (0, d) for none.
    """

    method: str
    attributes: tuple[str, ...]
    statistics: LatentStatistics
    weight: Tensor | None = None
    network: AttributeMLP | None = None
    avoid: Tensor = field(default_factory=lambda: torch.zeros(0, 0))

    def edit(self, z_sem: Tensor, attribute: str, strength: float) -> Tensor:
        """Move latents along the direction of an attribute.

            z' = z + strength · √d · u                          (linear methods)
            z ← z + strength · √d / 10 · u(z), ten times        (network)

        Strength 0 returns the latents unchanged.

        Args:
            z_sem: (n, d) latents.
            attribute: one of `attributes`.
            strength: signed length of the path in units of √d; the official notebook uses 0.3.

        Returns:
            (n, d) edited latents.

        Raises:
            InputError: the attribute is unknown.
        """
        if attribute not in self.attributes:
            raise InputError(
                f"The directions do not contain '{attribute}'. {suggest(attribute, self.attributes)}"
            )
        if strength == 0:
            return z_sem
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
        """Copy the directions to a device."""
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
        """Compute u = (w − wAᵀA) / ‖w − wAᵀA‖ for rows w (n, d); A holds the directions to avoid."""
        if self.avoid.numel():
            direction = direction - direction @ self.avoid.T @ self.avoid
        length = direction.norm(dim=1, keepdim=True)
        if bool((length < _SHORTEST).any()):
            raise InputError("The editing direction lies in the subspace to avoid. Avoid fewer directions.")
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
        tensors |= {_NETWORK + name: value for name, value in directions.network.state_dict().items()}
        architecture["hidden"] = directions.network.layers[0].out_features
    model_file.write(path, ModelFile("directions", tensors, architecture, provenance))


def read(path: Path) -> Directions:
    """Read directions from a file, from the folder that holds it, or from weights by their name.

    An official classifier (`last.ckpt`) gives the directions of the 40 attributes of CelebA.

    Raises:
        InputError: the file does not exist.
        WeightsError: the file is damaged or missing, or does not hold directions.
    """
    path = located(path)
    path = path / "directions.safetensors" if path.is_dir() else path
    if path.suffix in OFFICIAL_SUFFIXES:
        classifier, statistics = load_official_classifier(checkpoint(path))
        weight = classifier.linear.weight.detach()
        return Directions("linear", classifier.attributes, statistics, weight)
    model = model_file.read(path, "directions")
    try:
        return _from_model(model, path)
    except FacebenchError:
        raise
    except Exception as error:  # tensors and architecture of any kind
        raise WeightsError(f"{path}: the directions are damaged ({error}).") from None


def _from_model(model: ModelFile, path: Path) -> Directions:
    tensors, attributes = model.tensors, tuple(map(str, model.architecture["attributes"]))
    statistics = LatentStatistics(tensors["mean"], tensors["std"])
    network, size = None, len(statistics.mean)
    if "hidden" in model.architecture:
        hidden = int(model.architecture["hidden"])
        # The size is compared before a network of that size is allocated.
        _check_shape(tensors, f"{_NETWORK}layers.0.weight", (hidden, size))
        network = AttributeMLP(size, hidden, len(attributes))
        state = {k.removeprefix(_NETWORK): v for k, v in tensors.items() if k.startswith(_NETWORK)}
        model_file.load_weights(network, ModelFile("directions", state, {}), str(path))
    else:
        _check_shape(tensors, "weight", (len(attributes), size))
    _check_shape(tensors, "std", (size,))
    method = str(model.architecture["method"])
    return Directions(method, attributes, statistics, tensors.get("weight"), network, tensors["avoid"])


def _check_shape(tensors: Mapping[str, Tensor], name: str, expected: tuple[int, ...]) -> None:
    if tuple(tensors[name].shape) != expected:
        raise ValueError(f"'{name}' has shape {tuple(tensors[name].shape)}, not {expected}")


def describe(path: Path) -> str:
    """Return the provenance of a file of directions as JSON text."""
    return json.dumps(model_file.read(path, "directions").provenance, indent=1)
