"""Training of the diffusion autoencoder."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from facebench.core.errors import InputError
from facebench.training import losses
from facebench.training.data.faces import Batch, Faces
from facebench.training.data.loading import collate, try_read
from facebench.training.data.order import seed_of
from facebench.training.data.pairs import FacesWithPartners
from facebench.training.data.sources import DataSettings, open_faces
from facebench.training.diffusion import q_sample, timestep_weight, training_loss, x_0_from_eps
from facebench.training.editing.autoencoder import rendered, stochastic_code
from facebench.training.engine.checkpoints import load_strictly
from facebench.training.engine.fingerprint import fingerprint
from facebench.training.engine.image_grid import grid, to_images
from facebench.training.engine.model_file import ModelFile, plain
from facebench.training.engine.preview_metrics import PreviewMetrics, lpips_warnings
from facebench.training.engine.rng import StepRng
from facebench.training.engine.settings import Settings, TrainConfig
from facebench.training.engine.task import Task
from facebench.training.losses import shared_network_warnings
from facebench.training.losses.identity_losses import LossWeights, Seen, face_terms, open_readers
from facebench.training.models import DiffAE, DiffAEConfig
from facebench.training.models.layers import Norm
from facebench.training.models.load import begin_with_encoder, open_diffae
from facebench.training.models.lora import LoraSettings, adapters, add_adapters, merged

MIDDLE = 0.2
"""Standard deviation of the bell of `focus`, in sides of the image."""
STEPS_SHOWN = 20
"""DDIM steps of previews and quick evaluations, as in the official evaluation."""


class DiffAESizes(Settings):
    """Sizes of the network; the defaults are those of the official FFHQ models."""

    size: int = Field(..., gt=0)
    multipliers: tuple[int, ...]
    encoder_multipliers: tuple[int, ...]
    channels: int = Field(128, gt=0)
    time_channels: int = Field(512, gt=0)
    code_channels: int = Field(512, gt=0)
    blocks: int = Field(2, gt=0)
    attention: tuple[int, ...] = (16,)
    dropout: float = Field(0.1, ge=0, lt=1)
    groups: int = Field(32, gt=0)
    """Of the group normalisation; narrow networks want fewer than the official 32, or they lose the mean colour."""
    encoder_norm: Norm = "group"
    """Normalisation in the semantic encoder; `batch` is for small ones that are taught labels."""
    code_shift: bool = False
    """z_sem shifts the U-Net's features as well as scaling them, which is all that it does in the official networks."""
    patch: int = Field(1, gt=0)
    """Side of the squares of pixels that the U-Net takes for one position: larger is faster and coarser."""
    positions: bool = False
    """Tell the U-Net where each position is; a small one learns much sooner where the eyes are."""
    predicts: Literal["eps", "v"] = "eps"
    """What the U-Net's numbers are; eps as in the official networks, or v, which a small one learns sooner."""
    draft: bool = False
    """A decoder drafts the face from z_sem, and the U-Net sees the draft beside x_t."""
    refines: bool = False
    """With draft: noise is added to what the draft lacks and not to the face, so that a change of z_sem changes at
    least the draft."""


class DiffAESettings(TrainConfig):
    """Everything that decides a trained autoencoder."""

    model: DiffAESizes
    data: DataSettings
    start: Path | None = None
    """A trained autoencoder to go on from; its images may have another size, all else must be alike."""
    encoder: Path | None = None
    """A semantic encoder of `facebench train encoder` to begin with, in place of the random or started one; with
    model.draft its decoder, too."""
    freeze_encoder: bool = False
    """Train the U-Net alone."""
    lora: LoraSettings | None = None
    """Train adapters on the convolutions and the attention of the U-Net and nothing else; null trains all weights."""
    loss: LossWeights = LossWeights()
    prior_images: int = Field(200, gt=0)
    """Faces drawn from `start` for loss.prior."""
    prior_data: DataSettings | None = None
    """Whose z_sem these faces get; null takes the training data, which for one person should be others."""
    weighting: Literal["simple", "p2", "v"] = "simple"
    """Weight of the error of eps at each timestep: all alike; P2, which favours noisy ones (Choi et al. 2022); or
    that of the error of v, which favours them more."""
    focus: float = Field(1.0, ge=1)
    """So many times the error at the border counts the error in the middle, where faces are; the best network is the
    same, but a small one looks at faces first."""
    flip: bool = False
    """Mirror every other face by chance."""
    shown: int = Field(8, gt=0)
    """Faces in preview grids."""
    evaluated: int = Field(64, gt=1)
    """Faces of the quick evaluation."""


class DiffAETask(Task):
    """Learn to predict eps, told z_sem that the encoder reads from the clean face."""

    best_metric = ("fd_lite0", False)

    def __init__(self, settings: DiffAESettings, faces: Faces) -> None:
        self.settings = settings
        weights = settings.loss
        if weights.prior and settings.start is None:
            raise InputError("loss.prior needs `start`: the checkpoint that prior faces are drawn from.")
        if settings.lora is not None and settings.start is None:
            raise InputError("lora needs `start`: the trained autoencoder that the adapters are put on.")
        if settings.freeze_encoder and settings.start is None and settings.encoder is None:
            raise InputError(
                "freeze_encoder needs a trained encoder: give `encoder` (facebench train encoder) or `start`."
            )
        self.faces = FacesWithPartners(faces, weights.triplet > 0) if weights.looks_at_faces else faces
        self.readers = open_readers(weights)
        torch.manual_seed(settings.seed)
        self.network: DiffAE = DiffAE(DiffAEConfig(**settings.model.model_dump()))
        if settings.start is not None:
            self._begin(open_diffae(settings.start), settings.start)
        if settings.encoder is not None:
            begin_with_encoder(self.network, settings.encoder)
        for part in (self.network.encoder, self.network.decoder):
            if part is not None:
                part.requires_grad_(not settings.freeze_encoder)
        begun = settings.lora is not None or weights.prior > 0
        self._start = {"start": fingerprint(self.network)} if begun else {}
        self.prior = prior_faces(self.network, faces, settings) if weights.prior else None
        if settings.lora is not None:
            add_adapters(self.network, "unet", settings.lora, settings.seed)
        quick = lpips_warnings() if settings.evaluate_every is not None else ()
        looked = weights.recogniser if self.readers.identity is not None else None
        self.warnings = (*quick, *shared_network_warnings.warnings(looked, shape=weights.shape > 0))
        self._preview_metrics: PreviewMetrics | None = None

    def _begin(self, start: DiffAE, name: Path) -> None:
        for what in ("predicts", "refines"):
            was, now = (getattr(network.config, what) for network in (start, self.network))
            if was != now:
                raise InputError(
                    f"{name} was trained with model.{what}={was}, and {now} is wanted: the same weights would mean "
                    f"something else. Set model.{what}={was}."
                )
        load_strictly(self.network, start.state_dict(), str(name))

    def losses(self, network: nn.Module, batch: Batch, rng: StepRng) -> dict[str, Tensor]:
        """Error of the predicted eps at uniform timesteps, and the terms that keep the person."""
        assert isinstance(network, DiffAE)
        weights = self.settings.loss
        # Landmarks do not survive a mirror.
        mirrored = self.settings.flip and not weights.looks_at_faces
        x_0 = flipped(batch.x_0, rng) if mirrored else batch.x_0
        z_sem = network.encode(x_0)
        t = rng.integers("t", 1000)
        noise = rng.normal("noise", tuple(x_0.shape[1:]))
        x_t = q_sample(network.to_diffused(x_0, z_sem), t, noise)
        eps = network(x_t, t, z_sem)
        middle = focus_map(x_0.shape[-1], self.settings.focus, x_0.device).sqrt()
        rows = losses.simple(middle * eps, middle * noise, "none")
        parts = {"simple": weights.simple * (timestep_weight(t, self.settings.weighting) * rows).mean()}
        if self.prior is not None:
            parts["prior"] = weights.prior * self._prior_loss(network, rng)
        if weights.looks_at_faces:
            x_0_hat = network.to_faces(x_0_from_eps(x_t, t, eps), z_sem)
            parts |= face_terms(weights, self.readers, _seen(batch, x_0, x_0_hat, t))
        counts = {name: parts.pop(name) for name in ("without_face",) if name in parts}
        return {"loss": torch.stack(list(parts.values())).sum(), **parts, **counts}

    def _prior_loss(self, network: DiffAE, rng: StepRng) -> Tensor:
        assert self.prior is not None
        chosen = self.prior[rng.integers("prior", len(self.prior)).cpu()].to(rng.device)
        t = rng.integers("prior t", 1000)
        noise = rng.normal("prior noise", tuple(chosen.shape[1:]))
        z_sem = network.encode(chosen)
        diffused = network.to_diffused(chosen, z_sem)
        return training_loss(
            network, diffused, t, noise, z_sem, weight=timestep_weight(t, self.settings.weighting)
        ).mean()

    def preview(self, network: nn.Module) -> dict[str, NDArray[np.uint8]]:
        """Faces above their reconstructions: from x_T and z_sem, and from z_sem alone."""
        assert isinstance(network, DiffAE)
        x_0 = fixed_faces(self.faces, self.settings.shown).x_0.to(_device(network))
        exact, semantic = reconstruct(network, x_0), reconstruct(network, x_0, from_noise=True)
        rows = [to_images(rows) for rows in (x_0, exact, semantic)]
        return {"reconstructions": grid(np.concatenate(rows), columns=len(x_0))}

    def evaluate(self, network: nn.Module) -> dict[str, float]:
        """How like the faces their decodings from z_sem alone are: Fréchet distance, identity, error."""
        assert isinstance(network, DiffAE)
        if self._preview_metrics is None:
            self._preview_metrics = PreviewMetrics(fixed_faces(self.faces, self.settings.evaluated).x_0)
        x_0 = self._preview_metrics.x_0.to(_device(network))
        made = torch.cat([reconstruct(network, part, from_noise=True) for part in torch.split(x_0, 16)])
        return self._preview_metrics.compute(made.cpu())

    def state(self) -> dict[str, Any]:
        """Which weights adapters and prior faces belong to, where there are any."""
        return dict(self._start)

    def restore(self, state: Mapping[str, Any]) -> None:
        """Make sure that `start` still holds these weights.

        Raises:
            InputError: it holds others.
        """
        if state and dict(state) != self._start:
            raise InputError(
                f"start={self.settings.start} holds other weights than when this run began, and adapters and prior "
                "faces are of those. Put the old file back, or begin anew with another --out."
            )

    def checkpoint_state(self, network: nn.Module) -> dict[str, Tensor]:
        """The adapters where there are any, else everything."""
        return network.state_dict() if self.settings.lora is None else adapters(network)

    def model(self, network: nn.Module, provenance: Mapping[str, Any]) -> ModelFile:
        """The autoencoder; adapters have become part of it."""
        assert isinstance(network, DiffAE)
        weights = network.state_dict() if self.settings.lora is None else merged(network)
        return ModelFile("diffae", weights, plain(network.config), dict(provenance))


SETTINGS = DiffAESettings


def make(settings: DiffAESettings) -> DiffAETask:
    """Open the data and build the network."""
    return DiffAETask(settings, open_faces(settings.data, settings.model.size))


@torch.no_grad()
def reconstruct(
    network: DiffAE, x_0: Tensor, *, from_noise: bool = False, steps: int = STEPS_SHOWN
) -> Tensor:
    """Encode faces and decode them again.

    Args:
        network: the autoencoder.
        x_0: (n, 3, s, s) in [-1, 1].
        from_noise: start from fixed noise in place of the stochastic code x_T, so that all likeness comes from
            z_sem.
        steps: DDIM steps, each way.
    """
    z_sem = network.encode(x_0)
    if from_noise:
        noise = torch.randn(x_0.shape, generator=torch.Generator().manual_seed(0)).to(x_0.device)
        return rendered(network, noise, z_sem, steps)
    return rendered(network, stochastic_code(network, x_0, z_sem, steps), z_sem, steps)


@torch.no_grad()
def prior_faces(network: DiffAE, faces: Faces, settings: DiffAESettings) -> Tensor:
    """Faces that the untouched network draws, (n, 3, s, s) on the CPU: x_T from chance, z_sem of `faces`.

    `prior_data` in the settings gives other people's z_sem.
    As DreamBooth does, they are drawn once, before training, and always the same for the same checkpoint and seed.
    """
    if settings.prior_data is not None:
        faces = open_faces(settings.prior_data, settings.model.size)
    count, side = settings.prior_images, network.config.size
    indices = np.random.default_rng(seed_of(settings.seed, "prior faces")).integers(len(faces), size=count)
    x_T = torch.randn(
        (count, 3, side, side), generator=torch.Generator().manual_seed(seed_of(settings.seed, "prior"))
    )
    was_training = network.training
    network.eval()
    made = []
    for start in range(0, count, 16):
        rows = indices[start : start + 16].tolist()
        shown = collate([try_read(faces, row, index) for row, index in enumerate(rows)])
        made.append(
            rendered(network, x_T[start : start + len(shown)], network.encode(shown.x_0), STEPS_SHOWN)
        )
    network.train(was_training)
    return torch.cat(made)


def _seen(batch: Batch, x_0: Tensor, x_0_hat: Tensor, t: Tensor) -> Seen:
    positive = batch.fields.get("positive")
    return Seen(
        x_0,
        x_0_hat,
        t,
        batch.fields["landmarks"],
        None if positive is None else positive.permute(0, 3, 1, 2).float() / 127.5 - 1,
        batch.fields.get("positive_landmarks"),
        batch.fields.get("identity"),
    )


def focus_map(size: int, focus: float, device: torch.device | str = "cpu") -> Tensor:
    """Weights (size, size) of the pixels, mean 1: a bell whose middle is about `focus` times the border."""
    place = (torch.arange(size, device=device) + 0.5) / size - 0.5
    bell = torch.exp(-(place**2) / (2 * MIDDLE**2))
    weights = 1 + (focus - 1) * bell[:, None] * bell
    return weights / weights.mean()


def flipped(x_0: Tensor, rng: StepRng) -> Tensor:
    """Mirror each face with probability one half."""
    mirror = rng.uniform("flip") < 0.5
    return torch.where(mirror.view(-1, 1, 1, 1), x_0.flip(3), x_0)


def fixed_faces(faces: Faces, count: int) -> Batch:
    """The same few faces every time, spread over the data; those that cannot be read are left out."""
    indices = np.linspace(0, len(faces) - 1, min(count, len(faces))).astype(int).tolist()
    return collate([try_read(faces, row, index) for row, index in enumerate(indices)])


def _device(network: nn.Module) -> torch.device:
    return next(network.parameters()).device
