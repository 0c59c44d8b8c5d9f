"""Training of a face recogniser, which measures the utility of generated faces as training data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import AliasChoices, Field
from torch import Tensor, nn

from facebench.core.errors import InputError
from facebench.training.data.faces import Batch
from facebench.training.data.people import AlignedFaces, open_people
from facebench.training.data.sources import FolderData, SynthfaceData
from facebench.training.engine.model_file import ModelFile
from facebench.training.engine.plateau import Plateau, PlateauSettings
from facebench.training.engine.rng import StepRng
from facebench.training.engine.settings import Settings, TrainConfig
from facebench.training.engine.task import Task
from facebench.training.recognition.benchmarks import IMAGES, Pairs, open_benchmark, synthetic_pairs
from facebench.training.recognition.recogniser import (
    KIND,
    HeadSettings,
    NetworkSettings,
    Recogniser,
    embed,
    reduced,
)
from facebench.training.recognition.verification_protocol import verification_accuracy


class SynthfacePairs(Settings):
    """Pairs of synthetic people outside the training set."""

    kind: Literal["synthface"]
    people: int = Field(300, gt=0)
    """Number of people; each contributes one genuine and one impostor pair."""
    seed: int = Field(1, ge=0)
    start: int = Field(..., ge=0)
    """Number of the first person."""
    render: int | None = Field(None, gt=0)
    cache_renders: bool = Field(True, validation_alias=AliasChoices("cache_renders", "remember"))


class BenchmarkPairs(Settings):
    """A benchmark: an insightface `.bin` file, or a folder with pairs.txt."""

    kind: Literal["benchmark"]
    path: Path


class RecognitionSettings(TrainConfig):
    """Settings of recogniser training."""

    network: NetworkSettings
    head: HeadSettings
    data: Annotated[SynthfaceData | FolderData, Field(discriminator="kind")]
    validation: Annotated[SynthfacePairs | BenchmarkPairs, Field(discriminator="kind")] | None = None
    """Pairs that control the learning rate, early stopping and the selected epoch; null trains all epochs."""
    plateau: PlateauSettings = PlateauSettings()
    epochs: int = Field(..., gt=0)
    steps: int = Field(0, ge=0)
    """Number of steps; 0 uses `epochs` times the number of full batches in the data."""
    ema_decay: float | None = Field(None, gt=0, lt=1, validation_alias=AliasChoices("ema_decay", "average"))


class RecognitionTask(Task):
    """Classify the training identities with a margin loss, and keep the epoch with the best verification accuracy."""

    network: Recogniser

    def __init__(self, settings: RecognitionSettings, faces: AlignedFaces, validation: Pairs | None) -> None:
        self.settings, self.faces, self.people, self.validation = settings, faces, faces.people, validation
        self.warnings = self.people.warnings
        self.plateau = Plateau(settings.plateau)
        torch.manual_seed(settings.seed)
        self.network = Recogniser(settings.network, settings.head, self.people.identities)
        if validation is not None:
            self.best_metric = ("validation_accuracy", True)
            self.keep_best = True

    def resolve(self, config: TrainConfig) -> TrainConfig:
        """Compute the number of steps and the interval of validations from the epochs."""
        assert isinstance(config, RecognitionSettings)
        epoch = max(1, len(self.faces) // config.batch_size)
        steps = config.steps or config.epochs * epoch
        interval = config.evaluate_every or epoch
        return config.model_copy(
            update={"steps": steps, "evaluate_every": interval if self.validation is not None else None}
        )

    def losses(self, network: nn.Module, batch: Batch, rng: StepRng) -> dict[str, Tensor]:
        """Compute the margin softmax loss of randomly mirrored faces, and the `accuracy` on the training batch."""
        assert isinstance(network, Recogniser)
        x = batch.x_0
        mirror = (rng.uniform("flip") < 0.5).view(-1, 1, 1, 1)
        x = reduced(torch.where(mirror, x.flip(3), x), self.settings.network.size)
        embeddings, labels = network(x), batch.fields["identity"]
        # Logits reach 64, where half precision is too coarse to resolve their differences.
        with torch.autocast(x.device.type, enabled=False):
            logits = network.head(embeddings.float(), labels)
            loss = nn.functional.cross_entropy(logits, labels)
        return {"loss": loss, "accuracy": (logits.argmax(1) == labels).float().mean()}

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """Compute ten-fold accuracy on the validation set, with flip sum; empty before the first validated epoch."""
        assert isinstance(network, Recogniser)
        if self.validation is None or not self.plateau.is_validation_due:
            return {}
        size, crops = self.settings.network.size, self.validation.crops
        plain, mirrored = (embed(network.backbone, images, size) for images in (crops, crops[:, :, ::-1]))
        result = verification_accuracy(plain, mirrored, self.validation.same)
        return {"validation_accuracy": result.accuracy}

    def on_evaluation(self, numbers: Mapping[str, float]) -> None:
        """Lower the learning rate, or stop, when the validation accuracy has stopped improving."""
        if "validation_accuracy" in numbers:
            self.plateau.update(numbers["validation_accuracy"])
        else:
            self.plateau.skip_epoch()
        self._apply_schedule()

    def state(self) -> dict[str, Any]:
        """Return the state of the learning rate schedule."""
        return self.plateau.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Restore the learning rate schedule."""
        self.plateau.restore(dict(state))
        self._apply_schedule()

    def clip_groups(self) -> list[list[nn.Parameter]]:
        """Clip the gradients of backbone and head separately, as released."""
        parts = (self.network.backbone, self.network.head)
        return [[p for p in part.parameters() if p.requires_grad] for part in parts]

    def model(self, network: nn.Module, provenance: Mapping[str, Any]) -> ModelFile:
        """Return the backbone as a model file, without the head, which is specific to the training identities."""
        assert isinstance(network, Recogniser)
        details = {
            **provenance,
            "identities": self.people.identities,
            "images": len(self.faces),
            "epochs": self.plateau.epoch,
        }
        architecture = self.settings.network.model_dump()
        return ModelFile(KIND, dict(network.backbone.state_dict()), architecture, details)

    def _apply_schedule(self) -> None:
        self.lr_factor, self.finished = self.plateau.rate, self.plateau.finished


SETTINGS = RecognitionSettings


def make(settings: RecognitionSettings) -> RecognitionTask:
    """Open the data and the validation set, and build the network.

    Raises:
        InputError: data or validation set cannot be used, or the same synthetic people are in both.
    """
    validation = None if settings.validation is None else _open_validation(settings)
    return RecognitionTask(settings, open_people(settings.data), validation)


def _open_validation(settings: RecognitionSettings) -> Pairs:
    validation, data = settings.validation, settings.data
    if isinstance(validation, BenchmarkPairs):
        return open_benchmark(validation.path)
    assert validation is not None
    end, training_people = validation.start + validation.people, range(0)
    if isinstance(data, SynthfaceData) and data.seed == validation.seed:
        training_people = range(data.start, data.start + data.identities)
    if training_people and validation.start < training_people.stop and training_people.start < end:
        raise InputError(
            f"The validation set contains people {validation.start} to {end - 1}, some of whom are trained on. "
            f"Set validation.start={training_people.stop}."
        )
    return synthetic_pairs(
        SynthfaceData(
            kind="synthface",
            identities=validation.people,
            images=IMAGES,
            seed=validation.seed,
            start=validation.start,
            render=validation.render,
            cache_renders=validation.cache_renders,
        )
    )
