"""Base of the training tasks of diffusion autoencoders: initialisation, LoRA, loss terms, previews and evaluation.

`tasks.diffae` and `tasks.compact_autoencoder` add the network and the denoising loss.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import AliasChoices, Field
from torch import Tensor, nn

from facebench.core.errors import InputError
from facebench.training import losses
from facebench.training.data.faces import Batch, Faces
from facebench.training.data.loading import collate, try_read
from facebench.training.data.pairs import FacesWithPartners
from facebench.training.data.sources import DataSettings, open_faces
from facebench.training.engine.fingerprint import fingerprint
from facebench.training.engine.image_grid import grid, to_images
from facebench.training.engine.model_file import ModelFile
from facebench.training.engine.preview_metrics import PreviewMetrics, lpips_warnings
from facebench.training.engine.rng import StepRng
from facebench.training.engine.settings import TrainConfig
from facebench.training.engine.task import Task
from facebench.training.losses import shared_network_warnings
from facebench.training.losses.frozen_networks import open_frozen_networks
from facebench.training.losses.identity_losses import LossInputs, face_losses
from facebench.training.losses.loss_weights import LossWeights
from facebench.training.models import DiffusionAutoencoder
from facebench.training.models.lora import LoraSettings, add_adapters, lora_state, merged_state
from facebench.training.tasks.face_batches import PREVIEW_STEPS, fixed_faces, random_flip
from facebench.training.tasks.prior_faces import PriorFaces, prior_faces, with_embeddings


class AutoencoderSettings(TrainConfig):
    """Settings that both autoencoder tasks have."""

    data: DataSettings
    init_from: Path | None = Field(None, validation_alias=AliasChoices("init_from", "start"))
    """Trained autoencoder that provides the initial weights; its image size may differ."""
    lora: LoraSettings | None = None
    """Train only adapters on the convolutions of the U-Net; null trains all weights."""
    loss: LossWeights = LossWeights()
    prior_images: int = Field(200, gt=0)
    """Number of faces that `init_from` generates for loss.prior."""
    prior_data: DataSettings | None = None
    """Faces whose z_sem these faces get; null uses the training data. To train on one person, give other people."""
    flip: bool = False
    """Mirror each face with probability one half."""
    preview_images: int = Field(8, gt=0, validation_alias=AliasChoices("preview_images", "shown"))
    """Faces in preview grids."""
    eval_images: int = Field(64, gt=1, validation_alias=AliasChoices("eval_images", "evaluated"))
    """Faces of the evaluation during training."""


class AutoencoderTask(Task):
    """Train a denoiser that predicts eps, given the z_sem of the clean face."""

    kind: ClassVar[str]
    """Kind of the model file."""
    network: DiffusionAutoencoder
    best_metric = ("fd_lite0", False)

    def __init__(self, settings: AutoencoderSettings, faces: Faces, size: int) -> None:
        self.settings = settings
        weights = settings.loss
        if settings.init_from is None:
            _refuse_without_init(settings)
        self.faces = (
            FacesWithPartners(faces, weights.needs_partners, weights.needs_other_people)
            if weights.needs_faces
            else faces
        )
        self.frozen_networks = open_frozen_networks(weights)
        torch.manual_seed(settings.seed)
        self.network = self.build_network()
        needs_prior = weights.prior > 0 or weights.needs_prior_negatives
        depends_on_init = settings.lora is not None or needs_prior
        self._init_fingerprint = {"start": fingerprint(self.network)} if depends_on_init else {}
        self.prior = self._prior_faces(faces, size) if needs_prior else None
        if settings.lora is not None:
            add_adapters(self.network, "unet", settings.lora, settings.seed)
        evaluation_warnings = lpips_warnings() if settings.evaluate_every is not None else ()
        recogniser = weights.recogniser if weights.needs_recogniser else None
        reader = weights.shape.reader if weights.shape.weight else None
        self.warnings = (
            *evaluation_warnings,
            *shared_network_warnings.warnings(recogniser, reader),
            *_prior_warnings(settings, self.prior),
        )
        self._preview_metrics: PreviewMetrics | None = None

    def _prior_faces(self, faces: Faces, size: int) -> PriorFaces:
        settings = self.settings
        if settings.prior_data is None:
            prior = prior_faces(self.network, faces, settings.prior_images, settings.seed)
            if settings.loss.needs_prior_negatives:
                _refuse_prior_of_one_person(prior)
        else:
            others = open_faces(settings.prior_data, size)
            prior = prior_faces(self.network, others, settings.prior_images, settings.seed)
            prior = replace(prior, identity=None)  # numbers of other people than those of the data
        if settings.loss.needs_prior_negatives:
            assert self.frozen_networks.identity is not None
            prior = with_embeddings(prior, self.frozen_networks.identity)
        return prior

    @abstractmethod
    def build_network(self) -> DiffusionAutoencoder:
        """Build the network and load its initial weights."""

    @abstractmethod
    def denoise(
        self, network: nn.Module, x_0: Tensor, z_sem: Tensor, t: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Add noise to faces x_0, and return the predicted eps and the predicted clean faces."""

    def denoising_loss(self, eps: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """Loss of the predicted eps of the training faces, (n,)."""
        return losses.simple(eps, noise, "none")

    def prior_denoising_loss(self, eps: Tensor, noise: Tensor, t: Tensor) -> Tensor:
        """Loss of the predicted eps of the prior faces, (n,)."""
        return losses.simple(eps, noise, "none")

    def losses(self, network: nn.Module, batch: Batch, rng: StepRng) -> dict[str, Tensor]:
        """Compute the denoising loss at uniform timesteps, and the terms that preserve identity."""
        weights = self.settings.loss
        # Landmarks would have to be mirrored as well.
        flip = self.settings.flip and not weights.needs_faces
        x_0 = random_flip(batch.x_0, rng) if flip else batch.x_0
        z_sem = _checked(network).encode(x_0)
        t = rng.integers("t", 1000)
        noise = rng.normal("noise", tuple(x_0.shape[1:]))
        eps, x_0_hat = self.denoise(network, x_0, z_sem, t, noise)
        parts = {"simple": weights.simple * self.denoising_loss(eps, noise, t).mean()}
        if self.prior is not None and weights.prior:
            parts["prior"] = weights.prior * self._prior_loss(network, self.prior, rng)
        if weights.needs_faces:
            inputs = self._loss_inputs(batch, rng, _Step(x_0, x_0_hat, t))
            parts |= face_losses(weights, self.frozen_networks, inputs)
        counts = {name: parts.pop(name) for name in ("without_face",) if name in parts}
        return {"loss": torch.stack(list(parts.values())).sum(), **parts, **counts}

    def _loss_inputs(self, batch: Batch, rng: StepRng, step: _Step) -> LossInputs:
        positive = batch.fields.get("positive")
        negatives, people = None, None
        if self.prior is not None and self.settings.loss.needs_prior_negatives:
            negatives, people = self.prior.negatives(_prior_rows(self.prior, rng), step.x_0.device)
        return LossInputs(
            step.x_0,
            step.x_0_hat,
            step.t,
            batch.fields["landmarks"],
            batch.fields["box"],
            None if positive is None else positive.permute(0, 3, 1, 2).float() / 127.5 - 1,
            batch.fields.get("positive_landmarks"),
            batch.fields.get("identity"),
            negatives,
            people,
        )

    def _prior_loss(self, network: nn.Module, prior: PriorFaces, rng: StepRng) -> Tensor:
        x_0 = prior.images[_prior_rows(prior, rng)].to(rng.device)
        t = rng.integers("prior t", 1000)
        noise = rng.normal("prior noise", tuple(x_0.shape[1:]))
        eps, _ = self.denoise(network, x_0, _checked(network).encode(x_0), t, noise)
        return self.prior_denoising_loss(eps, noise, t).mean()

    def preview(self, network: nn.Module) -> dict[str, NDArray[np.uint8]]:
        """Draw faces above their reconstructions from both codes, and from z_sem alone."""
        autoencoder = _checked(network)
        x_0 = fixed_faces(self.faces, self.settings.preview_images).x_0.to(_device(network))
        both_codes = reconstruct(autoencoder, x_0)
        z_sem_alone = reconstruct(autoencoder, x_0, from_noise=True)
        rows = [to_images(images) for images in (x_0, both_codes, z_sem_alone)]
        return {"reconstructions": grid(np.concatenate(rows), columns=len(x_0))}

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """Compare faces with their reconstructions from z_sem alone: Fréchet distance, identity, error."""
        if self._preview_metrics is None:
            self._preview_metrics = PreviewMetrics(fixed_faces(self.faces, self.settings.eval_images).x_0)
        x_0 = self._preview_metrics.x_0.to(_device(network))
        reconstructions = [
            reconstruct(_checked(network), part, from_noise=True) for part in torch.split(x_0, 16)
        ]
        return self._preview_metrics.compute(torch.cat(reconstructions).cpu())

    def generate(self, network: nn.Module, count: int) -> NDArray[np.uint8]:
        """Decode random faces of the training set from z_sem and random noise."""
        autoencoder, device = _checked(network), _device(network)
        rows = torch.randint(len(self.faces), (count,)).tolist()
        generated = []
        for start in range(0, count, 16):
            batch = collate([try_read(self.faces, row, i) for i, row in enumerate(rows[start : start + 16])])
            x_T = torch.randn(batch.x_0.shape)
            with torch.no_grad():
                z_sem = autoencoder.encode(batch.x_0.to(device))
                generated.append(autoencoder.decode(x_T.to(device), z_sem, PREVIEW_STEPS).cpu())
        return to_images(torch.cat(generated))

    def state(self) -> dict[str, Any]:
        """Return the fingerprint of the initial weights if adapters or prior faces depend on them."""
        return dict(self._init_fingerprint)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Check that `init_from` still holds the weights that the run began with.

        Raises:
            InputError: it holds other weights.
        """
        if state and dict(state) != self._init_fingerprint:
            raise InputError(
                f"init_from={self.settings.init_from} holds other weights than when this run began, and the adapters "
                "and prior faces depend on them. Restore the old file, or start a new run with another --out."
            )

    def checkpoint_state(self, network: nn.Module) -> dict[str, Tensor]:
        """Return the adapters if there are any, otherwise all weights."""
        return network.state_dict() if self.settings.lora is None else lora_state(network)

    def model(self, network: nn.Module, provenance: Mapping[str, Any]) -> ModelFile:
        """Return the autoencoder as a model file; adapters are merged into its weights."""
        weights = network.state_dict() if self.settings.lora is None else merged_state(network)
        config = _checked(network).config.model_dump(mode="json")
        return ModelFile(self.kind, weights, config, dict(provenance))


@torch.no_grad()
def reconstruct(
    network: DiffusionAutoencoder, x_0: Tensor, *, from_noise: bool = False, steps: int = PREVIEW_STEPS
) -> Tensor:
    """Encode faces and decode them again.

    Args:
        network: the autoencoder.
        x_0: (n, 3, s, s) in [-1, 1].
        from_noise: replace the stochastic code x_T by fixed noise, so that only z_sem carries information.
        steps: DDIM steps in each direction.
    """
    z_sem = network.encode(x_0)
    if from_noise:
        x_T = torch.randn(x_0.shape, generator=torch.Generator().manual_seed(0)).to(x_0.device)
    else:
        x_T = network.encode_stochastic(x_0, z_sem, steps)
    return network.decode(x_T, z_sem, steps)


@dataclass(frozen=True)
class _Step:
    """Clean faces, predicted clean faces and timesteps of a step."""

    x_0: Tensor
    x_0_hat: Tensor
    t: Tensor


def _prior_rows(prior: PriorFaces, rng: StepRng) -> Tensor:
    """Draw the prior face of each row; L_PR and the triplet loss of a step use the same ones."""
    return rng.integers("prior", len(prior)).cpu()


def _refuse_without_init(settings: AutoencoderSettings) -> None:
    if settings.loss.prior:
        raise InputError("loss.prior needs `init_from`: the checkpoint that generates prior faces.")
    if settings.loss.needs_prior_negatives:
        raise InputError(
            "loss.triplet.negative=prior needs `init_from`: the checkpoint that generates prior faces."
        )
    if settings.lora is not None:
        raise InputError("lora needs `init_from`: the trained autoencoder that receives the adapters.")


def _refuse_prior_of_one_person(prior: PriorFaces) -> None:
    if prior.identity is not None and len(torch.unique(prior.identity)) < 2:
        raise InputError(
            "loss.triplet.negative=prior needs prior faces of other people, and all of them have codes of one person. "
            "Give prior_data of other people."
        )


def _prior_warnings(settings: AutoencoderSettings, prior: PriorFaces | None) -> tuple[str, ...]:
    if (
        prior is None
        or prior.embeddings is None
        or settings.prior_data is not None
        or prior.identity is not None
    ):
        return ()
    return (
        "loss.triplet.negative=prior: prior faces have codes of the training data. If these images show one person, "
        "the loss pushes this person away; give prior_data of other people.",
    )


def _checked(network: nn.Module) -> DiffusionAutoencoder:
    assert isinstance(network, DiffusionAutoencoder)
    return network


def _device(network: nn.Module) -> torch.device:
    return next(network.parameters()).device
