"""Supervised start for the semantic encoder of a diffusion autoencoder: it reads what the renderer was told.

Left to itself, z_sem comes to hold an expression only after far more images than a small computer can show. An encoder
that has read the parameters of synthetic faces gives the denoiser a code worth listening to from its first step;
the autoencoder's own training then goes on from there. The official method does without labels, and so do
the presets for photographs.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import Field
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
from facebench.training.engine.model_file import ModelFile, plain
from facebench.training.engine.rng import StepRng
from facebench.training.engine.settings import TrainConfig
from facebench.training.engine.task import Task
from facebench.training.models import DiffAE, DiffAEConfig
from facebench.training.models.load import begin_with_encoder
from facebench.training.tasks.diffae import DiffAESizes, focus_map

KIND = "semantic-encoder"
BASIS_PEOPLE, SHAPES = 1000, 30
"""How many people head shapes are learnt from, and how many of their directions are read."""
DRAFT, CHANGE = "draft", "change"
WEIGHTS = dict.fromkeys(GROUPS, 1.0) | {"expression": 3.0, DRAFT: 10.0, CHANGE: 300.0}
"""Expression is the smallest thing to see and the first to be asked for; its pixels hardly count in the error of a
whole face, which the error of the change between the two faces of a pair makes good."""


class EncoderSettings(TrainConfig):
    """Everything that decides a supervised encoder."""

    model: DiffAESizes
    """Of the whole autoencoder, whose encoder this becomes."""
    data: SynthfaceData
    held_out: SynthfaceData
    """Other people, for the evaluation."""
    encoder: Path | None = None
    """An encoder, and its decoder, to go on from."""
    freeze_encoder: bool = False
    """With model.draft: train the decoder alone, several times as fast, because every face is encoded only once."""
    focus: float = Field(1.0, ge=1)
    """So many times the error of the draft at the border counts that in the middle."""


class ReadingEncoder(nn.Module):
    """A semantic encoder, linear layers that read the parameters off its code, and what drafts the face from it."""

    def __init__(self, autoencoder: DiffAE, widths: Mapping[str, int]) -> None:
        super().__init__()
        self.encoder, self.decoder = autoencoder.encoder, autoencoder.decoder
        codes = autoencoder.config.code_channels
        self.read = nn.ModuleDict({name: nn.Linear(codes, width) for name, width in widths.items()})

    def forward(self, x: Tensor, z_sem: Tensor | None = None) -> dict[str, Tensor]:
        """Map images (n, 3, s, s) in [-1, 1] to standardised parameters by group, and to the draft, if there is one.

        Args:
            x: the images.
            z_sem: their codes (n, code_channels), where they are known already.
        """
        z_sem = self.encoder(x) if z_sem is None else z_sem
        read = {name: layer(z_sem) for name, layer in self.read.items()}
        return read if self.decoder is None else {**read, DRAFT: self.decoder(z_sem)}

    def train(self, mode: bool = True) -> ReadingEncoder:
        """Set the mode of everything but a frozen encoder, whose statistics are no longer taken."""
        super().train(mode)
        if not any(value.requires_grad for value in self.encoder.parameters()):
            self.encoder.eval()
        return self


class EncoderTask(Task):
    """Learn to read the parameters."""

    best_metric = ("expression_r2", True)

    def __init__(self, settings: EncoderSettings) -> None:
        self.settings = settings
        self.config = DiffAEConfig(**settings.model.model_dump())
        basis = ShapeBasis.of(BASIS_PEOPLE, SHAPES)
        faces = ParameterFaces(settings.data, self.config.size, basis)
        self.held_out = ParameterFaces(settings.held_out, self.config.size, basis, faces.scale)
        widths = {name: values.shape[1] for name, values in faces.truth.items()}
        torch.manual_seed(settings.seed)
        autoencoder = DiffAE(self.config)
        if settings.encoder is not None:
            begin_with_encoder(autoencoder, settings.encoder, needs_decoder=False)
        autoencoder.encoder.requires_grad_(not settings.freeze_encoder)
        self.faces = CodedFaces(faces, autoencoder.encoder) if settings.freeze_encoder else faces
        self.network = ReadingEncoder(autoencoder, widths)

    def losses(self, network: nn.Module, batch: Batch, rng: StepRng) -> dict[str, Tensor]:
        """Squared error of each group, of the draft, and of the change of the draft between the faces of a pair."""
        x_0, truth = (batch.x_0, batch.fields) if OTHER_IMAGE not in batch.fields else _both(batch)
        read = network(x_0, truth.get(CODE))
        parts = {name: functional.mse_loss(read[name], truth[name]) for name in GROUPS}
        if DRAFT in read:
            error = focus_map(self.config.size, self.settings.focus, x_0.device).sqrt() * (read[DRAFT] - x_0)
            parts[DRAFT] = error.square().mean()
            if len(x_0) > len(batch):
                first, other = error.chunk(2)
                parts[CHANGE] = (first - other).square().mean()
        total = torch.stack([WEIGHTS[name] * part for name, part in parts.items()]).sum()
        return {"loss": total, **parts}

    @torch.no_grad()
    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """Share of the variance that is read right on people never trained on, by group; 1 is perfect."""
        errors: dict[str, list[Tensor]] = {name: [] for name in GROUPS}
        for start in range(0, len(self.held_out), 64):
            rows = range(start, min(start + 64, len(self.held_out)))
            batch = collate([try_read(self.held_out, row, row) for row in rows])
            read = network(batch.x_0.to(next(network.parameters()).device))
            for name in GROUPS:
                errors[name].append((read[name].cpu() - batch.fields[name]).square())
        return {
            f"{name}_r2": float(
                1 - torch.cat(found).mean() / np.var(self.held_out.truth[name], axis=0).mean()
            )
            for name, found in errors.items()
        }

    def model(self, network: nn.Module, provenance: Mapping[str, Any]) -> ModelFile:
        """The encoder and the decoder, without the layers that read the code."""
        assert isinstance(network, ReadingEncoder)
        kept = {name: value for name, value in network.state_dict().items() if not name.startswith("read.")}
        return ModelFile(KIND, kept, plain(self.config), dict(provenance))


SETTINGS = EncoderSettings


def make(settings: EncoderSettings) -> EncoderTask:
    """Open the data and build the network."""
    return EncoderTask(settings)


def _both(batch: Batch) -> tuple[Tensor, dict[str, Tensor]]:
    """The faces of all pairs, first the one, then the other of each, and what is true of them."""
    others = batch.fields[OTHER_IMAGE].permute(0, 3, 1, 2).float() / 127.5 - 1
    truth = {name: torch.cat([batch.fields[name]] * 2) for name in GROUPS}
    truth["expression"] = torch.cat([batch.fields["expression"], batch.fields[OTHER_EXPRESSION]])
    if CODE in batch.fields:
        truth[CODE] = torch.cat([batch.fields[CODE], batch.fields[OTHER_CODE]])
    return torch.cat([batch.x_0, others]), truth
