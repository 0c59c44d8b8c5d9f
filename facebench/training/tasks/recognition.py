"""Training of a face recogniser: what generated faces are worth as training data."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

import torch
from pydantic import Field
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
    """Pairs of synthetic people who are not in the training set."""

    kind: Literal["synthface"]
    people: int = Field(300, gt=0)
    """Each gives one genuine and one impostor pair."""
    seed: int = Field(1, ge=0)
    start: int = Field(..., ge=0)
    """Number of the first person."""
    render: int | None = Field(None, gt=0)
    remember: bool = True


class BenchmarkPairs(Settings):
    """A benchmark: an insightface `.bin` file, or a folder with pairs.txt."""

    kind: Literal["benchmark"]
    path: Path


class RecognitionSettings(TrainConfig):
    """Everything that decides a trained recogniser."""

    network: NetworkSettings
    head: HeadSettings
    data: Annotated[SynthfaceData | FolderData, Field(discriminator="kind")]
    validation: Annotated[SynthfacePairs | BenchmarkPairs, Field(discriminator="kind")] | None = None
    """Decides on the learning rate, on when to stop, and on which epoch is kept; null trains all epochs."""
    plateau: PlateauSettings = PlateauSettings()
    epochs: int = Field(..., gt=0)
    steps: int = Field(0, ge=0)
    """0: as many as the epochs have, an epoch being as many whole batches as the data fills."""
    average: float | None = Field(None, gt=0, lt=1)


class RecognitionTask(Task):
    """Classify the training identities with a margin; keep the epoch that verifies best."""

    network: Recogniser

    def __init__(self, settings: RecognitionSettings, faces: AlignedFaces, validation: Pairs | None) -> None:
        self.settings, self.faces, self.people, self.validation = settings, faces, faces.people, validation
        self.warnings = self.people.notes
        self.plateau = Plateau(settings.plateau)
        torch.manual_seed(settings.seed)
        self.network = Recogniser(settings.network, settings.head, self.people.identities)
        if validation is not None:
            self.best_metric = ("validation_accuracy", True)
            self.keep_best = True

    def resolve(self, config: TrainConfig) -> TrainConfig:
        """Steps and validations from epochs."""
        assert isinstance(config, RecognitionSettings)
        epoch = max(1, len(self.faces) // config.batch)
        steps = config.steps or config.epochs * epoch
        rhythm = config.evaluate_every or epoch
        return config.model_copy(
            update={"steps": steps, "evaluate_every": rhythm if self.validation is not None else None}
        )

    def losses(self, network: nn.Module, batch: Batch, rng: StepRng) -> dict[str, Tensor]:
        """Margin softmax loss of faces that are mirrored by chance; `accuracy` is that of the training batch."""
        assert isinstance(network, Recogniser)
        x = batch.x_0
        mirror = (rng.uniform("flip") < 0.5).view(-1, 1, 1, 1)
        x = reduced(torch.where(mirror, x.flip(3), x), self.settings.network.size)
        embeddings, labels = network(x), batch.fields["identity"]
        # Logits reach 64: half precision would round them by more than they differ.
        with torch.autocast(x.device.type, enabled=False):
            logits = network.head(embeddings.float(), labels)
            loss = nn.functional.cross_entropy(logits, labels)
        return {"loss": loss, "accuracy": (logits.argmax(1) == labels).float().mean()}

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """Ten-fold accuracy on the validation set, with flip sum; nothing before the first validated epoch."""
        assert isinstance(network, Recogniser)
        if self.validation is None or not self.plateau.validates:
            return {}
        size, crops = self.settings.network.size, self.validation.crops
        plain, mirrored = (embed(network.backbone, images, size) for images in (crops, crops[:, :, ::-1]))
        found = verification_accuracy(plain, mirrored, self.validation.same)
        return {"validation_accuracy": found.accuracy}

    def on_evaluation(self, numbers: Mapping[str, float]) -> None:
        """Lower the learning rate or stop when the validation accuracy does not grow."""
        if "validation_accuracy" in numbers:
            self.plateau.note(numbers["validation_accuracy"])
        else:
            self.plateau.skip()
        self._take_up()

    def state(self) -> dict[str, Any]:
        """The schedule's."""
        return self.plateau.state()

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take the schedule up."""
        self.plateau.restore(dict(state))
        self._take_up()

    def clip_groups(self) -> list[list[nn.Parameter]]:
        """Backbone and head are clipped apart, as released."""
        parts = (self.network.backbone, self.network.head)
        return [[p for p in part.parameters() if p.requires_grad] for part in parts]

    def model(self, network: nn.Module, provenance: Mapping[str, Any]) -> ModelFile:
        """The backbone; the head knows only the training identities and is left out."""
        assert isinstance(network, Recogniser)
        about = {
            **provenance,
            "identities": self.people.identities,
            "images": len(self.faces),
            "epochs": self.plateau.epoch,
        }
        architecture = self.settings.network.model_dump()
        return ModelFile(KIND, dict(network.backbone.state_dict()), architecture, about)

    def _take_up(self) -> None:
        self.lr_factor, self.finished = self.plateau.rate, self.plateau.finished


SETTINGS = RecognitionSettings


def make(settings: RecognitionSettings) -> RecognitionTask:
    """Open the data and the validation set, and build the networks.

    Raises:
        InputError: data or validation set are missing or unusable, or synthetic people are in both.
    """
    validation = None if settings.validation is None else _open_validation(settings)
    return RecognitionTask(settings, open_people(settings.data), validation)


def _open_validation(settings: RecognitionSettings) -> Pairs:
    chosen, data = settings.validation, settings.data
    if isinstance(chosen, BenchmarkPairs):
        return open_benchmark(chosen.path)
    assert chosen is not None
    end, trained = chosen.start + chosen.people, range(0)
    if isinstance(data, SynthfaceData) and data.seed == chosen.seed:
        trained = range(data.start, data.start + data.identities)
    if trained and chosen.start < trained.stop and trained.start < end:
        raise InputError(
            f"The validation set would show people {chosen.start} to {end - 1}, who are also trained on. Set "
            f"validation.start={trained.stop}."
        )
    return synthetic_pairs(
        SynthfaceData(
            kind="synthface",
            identities=chosen.people,
            images=IMAGES,
            seed=chosen.seed,
            start=chosen.start,
            render=chosen.render,
            remember=chosen.remember,
        )
    )
