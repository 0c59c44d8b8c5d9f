"""Training of FaceReader, the network of the compact suite for expression, affect, 3D shape and pose."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from facebench.backbones.facereader import OUTPUTS, POSE_DEGREES, FaceReader, shrunk
from facebench.metrics import affect_agreement
from facebench.synthface.shape import ShapeBasis
from facebench.training.data.augment import augment
from facebench.training.data.faces import Batch, Face
from facebench.training.data.people import AlignedFaces, SynthfacePeople
from facebench.training.data.sources import SynthfaceData
from facebench.training.engine.model_file import ModelFile
from facebench.training.engine.rng import StepRng
from facebench.training.engine.settings import TrainConfig
from facebench.training.engine.task import Task

WEIGHTS = {"expression": 0.3, "valence": 2.0, "arousal": 2.0, "exp": 10.0, "shape": 1.0, "pose": 1.0}
"""Weights of the losses, which make them about equal at the start of training."""
BASIS_PEOPLE = 1000


class FaceReaderSettings(TrainConfig):
    """Settings of FaceReader training."""

    data: SynthfaceData
    held_out: SynthfaceData
    """Faces of other people, for the evaluation."""
    augment: bool = True


class ReaderFaces:
    """Aligned crops of synthetic faces, with the targets of all outputs."""

    def __init__(self, data: SynthfaceData, basis: ShapeBasis) -> None:
        self.people = SynthfacePeople(data)
        self.crops = AlignedFaces(self.people)
        self.truth = self._truth(basis)

    def __len__(self) -> int:
        return len(self.crops)

    def read(self, index: int) -> Face:
        """Read face `index`.

        Raises:
            ImageError: no face is found in the image.
        """
        face = self.crops.read(index)
        return Face(face.name, face.image, {name: values[index] for name, values in self.truth.items()})

    def _truth(self, basis: ShapeBasis) -> dict[str, NDArray[Any]]:
        data = self.people.data
        parameters = self.people.faces.all_parameters()
        first = np.arange(data.identities) * data.images
        shape = np.repeat(basis.code(parameters.take(first)), data.images, axis=0)
        affect = parameters.affect
        return {
            "identity": parameters.identity,
            "expression": parameters.expression,
            "valence": affect[:, :1],
            "arousal": affect[:, 1:],
            "exp": parameters.psi,
            "shape": shape,
            "pose": parameters.pose / np.float32(POSE_DEGREES),
        }


class FaceReaderTask(Task):
    """Train FaceReader on the renderer's parameters."""

    best_metric = ("valence_ccc", True)

    def __init__(self, settings: FaceReaderSettings) -> None:
        self.settings = settings
        basis = ShapeBasis.of(BASIS_PEOPLE, OUTPUTS["shape"])
        self.faces = ReaderFaces(settings.data, basis)
        self.held_out = ReaderFaces(settings.held_out, basis)
        torch.manual_seed(settings.seed)
        self.network = FaceReader()

    def losses(self, network: nn.Module, batch: Batch, rng: StepRng) -> dict[str, Tensor]:
        """Compute the weighted sum of the losses of all outputs."""
        crops = augment(batch.x_0, rng) if self.settings.augment else batch.x_0
        outputs = network(shrunk(crops))
        parts = {
            name: functional.mse_loss(outputs[name], batch.fields[name].float())
            for name in OUTPUTS
            if name != "expression"
        }
        parts["expression"] = functional.cross_entropy(outputs["expression"], batch.fields["expression"])
        total = torch.stack([WEIGHTS[name] * part for name, part in parts.items()]).sum()
        return {"loss": total, **parts}

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """Compare predictions with the targets on people outside the training data."""
        predictions, targets = self.predict(network)
        correct = predictions["expression"].argmax(1) == targets["expression"]
        values = {"expression_accuracy": float(correct.mean())}
        for name in ("valence", "arousal"):
            agreement = affect_agreement(targets[name][:, 0], predictions[name][:, 0])
            values |= {f"{name}_ccc": float(agreement.ccc), f"{name}_mae": float(agreement.mae)}
        for name in ("exp", "shape"):
            values[f"{name}_cosine"] = float(np.mean(_cosines(predictions[name], targets[name])))
        error = np.abs(predictions["pose"] - targets["pose"]).mean(axis=0) * POSE_DEGREES
        return values | dict(zip(("yaw_mae", "pitch_mae", "roll_mae"), error.tolist(), strict=True))

    @torch.no_grad()
    def predict(self, network: nn.Module) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
        """Predict the outputs of the held-out faces; return them with the targets."""
        from facebench.images.decoding import ImageError

        predictions: dict[str, list[NDArray[Any]]] = {name: [] for name in OUTPUTS}
        rows: list[int] = []
        for start in range(0, len(self.held_out), 64):
            faces = []
            for index in range(start, min(start + 64, len(self.held_out))):
                try:
                    faces.append(self.held_out.read(index).image)
                except ImageError:
                    continue
                rows.append(index)
            x = torch.from_numpy(np.stack(faces)).permute(0, 3, 1, 2).float() / 127.5 - 1
            device = next(network.parameters()).device
            for name, values in network(shrunk(x.to(device))).items():
                predictions[name].append(values.cpu().numpy())
        joined = {name: np.concatenate(parts) for name, parts in predictions.items()}
        return joined, {name: values[rows] for name, values in self.held_out.truth.items()}

    def model(self, network: nn.Module, provenance: Mapping[str, Any]) -> ModelFile:
        """Return the network as a model file."""
        return ModelFile("face-reader", network.state_dict(), {}, dict(provenance))


SETTINGS = FaceReaderSettings


def make(settings: FaceReaderSettings) -> FaceReaderTask:
    """Open the data and build the network."""
    return FaceReaderTask(settings)


def _cosines(predictions: NDArray[Any], targets: NDArray[Any]) -> NDArray[Any]:
    lengths = np.linalg.norm(predictions, axis=1) * np.linalg.norm(targets, axis=1)
    return np.asarray((predictions * targets).sum(axis=1)[lengths > 0] / lengths[lengths > 0])
