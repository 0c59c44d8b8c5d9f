"""Training of affect networks: CAGE's recipe on AffectNet, HSEmotion's losses, and a small preset on rendered faces."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from accelerate import PartialState
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from facebench.core.errors import InputError
from facebench.images.decoding import ImageError
from facebench.metrics import affect_agreement, macro_recall
from facebench.training.data.affect_faces import AffectData, AffectFaces
from facebench.training.data.augment_affect import augment_affect
from facebench.training.data.faces import Batch
from facebench.training.engine.model_file import ModelFile
from facebench.training.engine.rng import StepRng
from facebench.training.engine.settings import TrainConfig
from facebench.training.engine.task import Task
from facebench.training.losses.affect import affect_losses, class_weights
from facebench.training.models.affect_network import CLASSES, AffectNetwork, NetworkKind, load_initial

KIND = "affect"
_EVALUATED_AT_ONCE = 64


class AffectSettings(TrainConfig):
    """Settings of the training of an affect network."""

    network: NetworkKind
    size: int = Field(224, ge=32)
    """Pixels per side that the network reads; 224 for MaxViT."""
    data: AffectData
    held_out: AffectData
    """Labelled images of the evaluation, which selects the best checkpoint."""
    loss: Literal["combined", "va", "ccc"]
    balance: int | None = Field(None, gt=0)
    """Number of training images, drawn once with equal numbers of every class; null for all."""
    augment: bool = True
    head_steps: int = Field(0, ge=0)
    """First steps, which train only the last layer; then the optimizer starts anew on all layers."""
    head_learning_rate: float | None = Field(None, gt=0)
    """Learning rate of these steps; null for that of the optimizer."""
    selected_by: Literal["score", "expression_accuracy"] = "score"
    """Number of the evaluation that selects the best checkpoint."""
    init_from: Path | None = None
    """Checkpoint with initial weights; layers of another shape keep their random values."""


class AffectTask(Task):
    """Train an affect network on labelled faces."""

    keep_best = True
    network: AffectNetwork

    def __init__(self, settings: AffectSettings) -> None:
        if settings.network == "maxvit-va" and settings.loss != "va":
            raise InputError("The network 'maxvit-va' has no expression classes: use loss=va.")
        if settings.network.startswith("maxvit") and settings.size != 224:
            raise InputError(f"MaxViT reads 224 pixels, not {settings.size}. Use size=224.")
        if settings.head_steps and PartialState().num_processes > 1:
            raise InputError("head_steps trains in one process. Start the command without a launcher.")
        self.settings = settings
        self.best_metric = (settings.selected_by, True)
        self.faces: AffectFaces = AffectFaces(settings.data, settings.size, settings.balance, settings.seed)
        self.held_out = AffectFaces(settings.held_out, settings.size)
        expression = torch.from_numpy(np.asarray(self.faces.labels("expression"), np.int64))
        self.weights = class_weights(expression, CLASSES)
        torch.manual_seed(settings.seed)
        self.network = AffectNetwork(settings.network)
        self.warnings = (
            *(f"data: {note}" for note in self.faces.notes),
            *(f"held_out: {note}" for note in self.held_out.notes),
        )
        if settings.init_from is not None:
            kept = load_initial(self.network, settings.init_from)
            self.warnings += (f"random initial values: {', '.join(kept)}",) if kept else ()
        elif settings.network != "small":
            self.warnings += (
                "the network starts from random weights; the published recipes start from ImageNet: init_from=FILE",
            )

    def begin_step(self, step: int) -> bool:
        """Train the last layer in the first steps, then all layers."""
        settings = self.settings
        is_head = step < settings.head_steps
        head = set(self.network.last_layer().parameters())
        for parameter in self.network.parameters():
            parameter.requires_grad_(not is_head or parameter in head)
        rate = settings.head_learning_rate
        self.lr_factor = rate / settings.optimizer.learning_rate if is_head and rate is not None else 1.0
        return step > 0 and step == settings.head_steps

    def losses(self, network: nn.Module, batch: Batch, rng: StepRng) -> dict[str, Tensor]:
        """Compute the losses of a batch."""
        images = augment_affect(batch.x_0, rng) if self.settings.augment else batch.x_0
        return affect_losses(
            self.settings.loss, network(images), batch.fields, self.weights.to(images.device)
        )

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """Compare predictions with the held-out labels; `score` is the mean of both CCC and of the mean recall."""
        predictions, labels = self.predict(network)
        values: dict[str, float] = {}
        for name in ("valence", "arousal"):
            known = np.isfinite(labels[name])
            if known.any():
                agreement = affect_agreement(labels[name][known], predictions[name][known])
                values |= {f"{name}_ccc": float(agreement.ccc), f"{name}_rmse": float(agreement.rmse)}
        score = [np.nan_to_num(values.get(f"{name}_ccc", 0.0)) for name in ("valence", "arousal")]
        known = labels["expression"] >= 0
        if "expression" in predictions and known.any():
            logits, wanted = predictions["expression"][known], labels["expression"][known]
            values["expression_accuracy"] = float((logits.argmax(axis=1) == wanted).mean())
            values["expression_recall"] = macro_recall(logits, wanted)
            score.append(values["expression_recall"])
        return {"score": float(np.mean(score)), **values}

    @torch.no_grad()
    def predict(self, network: nn.Module) -> tuple[dict[str, NDArray[Any]], dict[str, NDArray[Any]]]:
        """Predict the held-out images; return the predictions with the labels. Unreadable images are left out."""
        device = next(network.parameters()).device
        rows: list[int] = []
        parts: dict[str, list[NDArray[Any]]] = {}
        images: list[NDArray[np.uint8]] = []
        for index in range(len(self.held_out)):
            try:
                images.append(self.held_out.read(index).image)
                rows.append(index)
            except ImageError:
                pass
            if images and (len(images) == _EVALUATED_AT_ONCE or index == len(self.held_out) - 1):
                x = torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).float() / 127.5 - 1
                for name, values in network(x.to(device)).items():
                    parts.setdefault(name, []).append(values.float().cpu().numpy())
                images = []
        predictions = {name: np.concatenate(values) for name, values in parts.items()}
        names = ("expression", "valence", "arousal")
        return predictions, {name: np.asarray(self.held_out.labels(name))[rows] for name in names}

    def model(self, network: nn.Module, provenance: Mapping[str, Any]) -> ModelFile:
        """Return the network as a model file with the official parameter names."""
        assert isinstance(network, AffectNetwork)
        architecture = {"network": self.settings.network, "size": self.settings.size}
        return ModelFile(KIND, network.body.state_dict(), architecture, dict(provenance))


SETTINGS = AffectSettings


def make(settings: AffectSettings) -> AffectTask:
    """Open the data and build the network."""
    return AffectTask(settings)
