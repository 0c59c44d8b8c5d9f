"""Supervised pre-training of the semantic encoder and the coarse decoder of a compact autoencoder.

The encoder learns to predict the renderer's parameters of synthetic faces. Without this, z_sem represents expressions
only after many more images than a small computer can process. DiffAE itself uses no labels, and the presets for
photographs do not use this task.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import AliasChoices, Field
from torch import Tensor, nn
from torch.nn import functional

from facebench.synthface.shape import ShapeBasis
from facebench.training.data.faces import Batch
from facebench.training.data.loading import collate, try_read
from facebench.training.data.renderer_parameters import (
    CODE,
    GROUPS,
    OTHER_CODE,
    OTHER_EXPRESSION,
    OTHER_IMAGE,
    CodedFaces,
    ParameterFaces,
)
from facebench.training.data.sources import SynthfaceData
from facebench.training.engine.model_file import ModelFile
from facebench.training.engine.rng import StepRng
from facebench.training.engine.settings import TrainConfig
from facebench.training.engine.task import Task
from facebench.training.models import CompactAutoencoder, CompactAutoencoderConfig
from facebench.training.models.load import load_encoder
from facebench.training.tasks.compact_autoencoder import center_weights

KIND = "semantic-encoder"
BASIS_PEOPLE, SHAPES = 1000, 30
"""Number of people that the basis of head shapes comes from, and number of its components that are predicted."""
COARSE_FACE, CHANGE = "coarse_face", "change"
WEIGHTS = dict.fromkeys(GROUPS, 1.0) | {"expression": 3.0, COARSE_FACE: 10.0, CHANGE: 300.0}
"""Weights of the losses. Expressions change few pixels and hardly affect the error of a whole face. The error of the
change between the two faces of a pair compensates for this."""


class EncoderSettings(TrainConfig):
    """Settings of encoder training."""

    model: CompactAutoencoderConfig
    """Network whose encoder and decoder are trained."""
    data: SynthfaceData
    held_out: SynthfaceData
    """Faces of other people, for the evaluation."""
    encoder: Path | None = None
    """Trained encoder, and decoder if it has one, that provides the initial weights."""
    freeze_encoder: bool = False
    """Train only the coarse decoder. This is several times as fast, because each face is encoded once."""
    center_weight: float = Field(1.0, ge=1, validation_alias=AliasChoices("center_weight", "focus"))
    """Weight of the coarse face's error in the centre of the image, relative to its border."""


class ParameterRegressor(nn.Module):
    """Semantic encoder and coarse decoder, with linear layers that predict the parameters from z_sem.

    Args:
        autoencoder: the network that provides encoder and decoder.
        widths: number of parameters by group.
    """

    def __init__(self, autoencoder: CompactAutoencoder, widths: Mapping[str, int]) -> None:
        super().__init__()
        self.encoder, self.decoder = autoencoder.encoder, autoencoder.decoder
        code_channels = autoencoder.config.code_channels
        self.read = nn.ModuleDict({name: nn.Linear(code_channels, width) for name, width in widths.items()})

    def forward(self, x: Tensor, z_sem: Tensor | None = None) -> dict[str, Tensor]:
        """Predict standardised parameters by group, and the coarse face if there is a decoder.

        Args:
            x: images (n, 3, s, s) in [-1, 1].
            z_sem: their codes (n, code_channels) if known; None encodes the images.
        """
        z_sem = self.encoder(x) if z_sem is None else z_sem
        predictions = {name: layer(z_sem) for name, layer in self.read.items()}
        return predictions if self.decoder is None else {**predictions, COARSE_FACE: self.decoder(z_sem)}

    def train(self, mode: bool = True) -> ParameterRegressor:
        """Set the mode; a frozen encoder stays in evaluation mode and keeps its batch statistics."""
        super().train(mode)
        if not any(value.requires_grad for value in self.encoder.parameters()):
            self.encoder.eval()
        return self


class EncoderTask(Task):
    """Train the encoder to predict the parameters, and the decoder to draw coarse faces."""

    best_metric = ("expression_r2", True)

    def __init__(self, settings: EncoderSettings) -> None:
        self.settings = settings
        self.config = settings.model
        basis = ShapeBasis.of(BASIS_PEOPLE, SHAPES)
        faces = ParameterFaces(settings.data, self.config.size, basis)
        self.held_out = ParameterFaces(settings.held_out, self.config.size, basis, faces.scale)
        widths = {name: values.shape[1] for name, values in faces.truth.items()}
        torch.manual_seed(settings.seed)
        autoencoder = CompactAutoencoder(self.config)
        if settings.encoder is not None:
            load_encoder(autoencoder, settings.encoder, needs_decoder=False)
        autoencoder.encoder.requires_grad_(not settings.freeze_encoder)
        self.faces = CodedFaces(faces, autoencoder.encoder) if settings.freeze_encoder else faces
        self.network = ParameterRegressor(autoencoder, widths)

    def losses(self, network: nn.Module, batch: Batch, rng: StepRng) -> dict[str, Tensor]:
        """Compute squared errors: of each group, of the coarse face, and of its change within a pair."""
        x_0, targets = (batch.x_0, batch.fields) if OTHER_IMAGE not in batch.fields else _pairs(batch)
        predictions = network(x_0, targets.get(CODE))
        parts = {name: functional.mse_loss(predictions[name], targets[name]) for name in GROUPS}
        if COARSE_FACE in predictions:
            weights = center_weights(self.config.size, self.settings.center_weight, x_0.device)
            error = weights.sqrt() * (predictions[COARSE_FACE] - x_0)
            parts[COARSE_FACE] = error.square().mean()
            if len(x_0) > len(batch):
                first, other = error.chunk(2)
                parts[CHANGE] = (first - other).square().mean()
        total = torch.stack([WEIGHTS[name] * part for name, part in parts.items()]).sum()
        return {"loss": total, **parts}

    @torch.no_grad()
    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """Compute R² on people outside the training data, by group; 1 is perfect."""
        errors: dict[str, list[Tensor]] = {name: [] for name in GROUPS}
        for start in range(0, len(self.held_out), 64):
            rows = range(start, min(start + 64, len(self.held_out)))
            batch = collate([try_read(self.held_out, row, row) for row in rows])
            predictions = network(batch.x_0.to(next(network.parameters()).device))
            for name in GROUPS:
                errors[name].append((predictions[name].cpu() - batch.fields[name]).square())
        return {
            f"{name}_r2": float(
                1 - torch.cat(parts).mean() / np.var(self.held_out.truth[name], axis=0).mean()
            )
            for name, parts in errors.items()
        }

    def model(self, network: nn.Module, provenance: Mapping[str, Any]) -> ModelFile:
        """Return encoder and decoder as a model file, without the linear layers."""
        assert isinstance(network, ParameterRegressor)
        tensors = {
            name: value for name, value in network.state_dict().items() if not name.startswith("read.")
        }
        return ModelFile(KIND, tensors, self.config.model_dump(mode="json"), dict(provenance))


SETTINGS = EncoderSettings


def make(settings: EncoderSettings) -> EncoderTask:
    """Open the data and build the network."""
    return EncoderTask(settings)


def _pairs(batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """Concatenate the first faces of all pairs with the second ones, and their parameters likewise."""
    others = batch.fields[OTHER_IMAGE].permute(0, 3, 1, 2).float() / 127.5 - 1
    targets = {name: torch.cat([batch.fields[name]] * 2) for name in GROUPS}
    targets["expression"] = torch.cat([batch.fields["expression"], batch.fields[OTHER_EXPRESSION]])
    if CODE in batch.fields:
        targets[CODE] = torch.cat([batch.fields[CODE], batch.fields[OTHER_CODE]])
    return torch.cat([batch.x_0, others]), targets
