"""Training of Stable Diffusion on one person with LoRA: DreamBooth, PortraitBooth and ID-Booth."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from facebench.backbones import detector
from facebench.backbones.face_detector import FaceDetector
from facebench.core.errors import InputError
from facebench.training.data import prior_provenance
from facebench.training.data.faces import Batch, Faces
from facebench.training.data.folders import FolderFaces
from facebench.training.data.loading import try_read
from facebench.training.data.sources import DataSettings, open_faces
from facebench.training.diffusion import q_sample
from facebench.training.engine.image_grid import to_images
from facebench.training.engine.model_file import ModelFile
from facebench.training.engine.rng import StepRng
from facebench.training.engine.settings import TrainConfig
from facebench.training.engine.task import Task
from facebench.training.losses import shared_network_warnings
from facebench.training.losses.differentiable_crop import aligned_crop, box_crop
from facebench.training.losses.frozen_networks import Embedder, open_recogniser
from facebench.training.losses.id_booth import STABLE_DIFFUSION, IdentityTerm, NoisePrediction, step_loss
from facebench.training.models.lora import LoraSettings
from facebench.training.models.stable_diffusion import Prompt, add_lora, lora_tensors, open_base

MAX_LISTED = 3
"""Number of images without a face that a message lists by name."""


class DreamBoothSettings(TrainConfig):
    """Settings of a personal model."""

    base: str
    """Folder of the base model in the layout of diffusers, or its name in the local hub cache."""
    vae: str | None = None
    """Another autoencoder for the base model, such as madebyollin/sdxl-vae-fp16-fix."""
    data: DataSettings
    """Images of the person."""
    prior: Path
    """Folder of prior images: samples of the base model for the class prompt (`facebench generate BASE FOLDER`)."""
    resolution: int = Field(512, gt=0)
    instance_prompt: str = "photo of sks person"
    class_prompt: str = "photo of a person"
    identity_loss: Literal["none", "identity", "triplet"] = "none"
    recogniser: Path | None = None
    """Recogniser of the identity loss: weights of ArcFace iresnet100, or a model of `facebench train recognition`."""
    crop: Literal["aligned", "box"] = "box"
    """Crop of x̂₀ for the recogniser: five-point alignment, or the detector's box as released."""
    detector: Literal["yunet", "mtcnn"] = "yunet"
    """Face detector of the crops."""
    positive: Literal["own", "last"] = "own"
    """Clean image that the identity losses compare x̂₀ with: that of the step, or always the last one of the person, as
    in the released script."""
    negative: Literal["own", "other"] = "own"
    """Negative of the triplet: the prior image of the step, or another one, as in the released script."""
    identity_weight: float = Field(1.0, ge=0)
    prior_weight: float = Field(1.0, ge=0)
    weigh_timesteps: bool = True
    lora: LoraSettings = LoraSettings()


class DreamBoothTask(Task):
    """Train the adapters of the U-Net on images of one person."""

    def __init__(self, settings: DreamBoothSettings) -> None:
        self.settings = settings
        self.base = open_base(settings.base, settings.vae)
        self._digests = self.base.digests()
        self._unet_fingerprint = self._digests["unet"]
        prior_warnings = prior_provenance.check(settings.prior, self.base, self._unet_fingerprint)
        self.faces: Faces = open_faces(settings.data, settings.resolution)
        prior_images = FolderFaces(settings.prior, settings.resolution)
        self.prior = _stack(prior_images)
        self.prompts = [
            self.base.prompt(text, settings.resolution)
            for text in (settings.instance_prompt, settings.class_prompt)
        ]
        self.network = add_lora(self.base.unet, settings.lora.rank, settings.lora.alpha, settings.seed)
        if settings.gradient_checkpointing:
            self.base.enable_gradient_checkpointing()
        self.recogniser = _open_recogniser(settings)
        recogniser = settings.recogniser if self.recogniser is not None else None
        self.warnings = (*prior_warnings, *shared_network_warnings.warnings(recogniser))
        self._finder = detector(settings.detector)
        if self.recogniser is not None:
            self.warnings += tuple(
                note
                for key, images in self._compared(prior_images)
                if (note := _note_images_without_face(key, images, self._finder))
            )
        if self.recogniser is not None and settings.positive == "last":
            self._last = self._embeddings(_floats(_last_with_face(self.faces, self._finder)))

    def losses(self, network: nn.Module, batch: Batch, rng: StepRng) -> dict[str, Tensor]:
        """Compute the reconstruction loss of instance and prior images, and the identity loss."""
        settings, base, count = self.settings, self.base, len(batch)
        drawn = rng.integers("prior", len(self.prior)).cpu()
        images = torch.cat([batch.x_0, _floats(self.prior[drawn]).to(rng.device)])
        base.vae.to(rng.device)
        side = settings.resolution // base.downsampling
        shape = (base.latent_channels, side, side)
        posterior_noise, noise = (
            torch.cat([rng.normal(f"{name} {n}", shape) for n in range(2)]) for name in ("vae", "noise")
        )
        latents = base.latents(images, posterior_noise)
        t = torch.cat([rng.integers(f"t {n}", len(STABLE_DIFFUSION)) for n in range(2)])
        prompt = Prompt.joined(self.prompts, count, rng.device)
        eps = base.eps(network, q_sample(latents, t, noise, STABLE_DIFFUSION), t, prompt)
        term = IdentityTerm(
            settings.identity_loss,
            base.decode,
            self._crop,
            self._recognise,
            settings.weigh_timesteps,
            settings.identity_weight,
        )
        embeddings = (
            self._targets(images, drawn)
            if settings.identity_loss != "none"
            else images.new_zeros(2 * count, 1)
        )
        prediction = NoisePrediction(latents, noise, eps, t)
        loss = step_loss(prediction, term, embeddings, prior_weight=settings.prior_weight)
        parts = {"loss": loss.total, "reconstruction": loss.reconstruction}
        if settings.identity_loss != "none":
            identity = loss.identity if loss.identity is not None else torch.zeros(())
            parts |= {"identity": identity, "without_face": torch.tensor(float(loss.without_face))}
        return parts

    def state(self) -> dict[str, Any]:
        """Return the fingerprint of the base model's U-Net, which the adapters depend on."""
        return {"unet": self._unet_fingerprint}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Check that the base model has not changed.

        Raises:
            InputError: its U-Net has other weights.
        """
        if state.get("unet", self._unet_fingerprint) != self._unet_fingerprint:
            raise InputError(
                f"base={self.settings.base} holds other weights than when this run began, and the adapters depend on "
                "them. Restore the old model, or start a new run with another --out."
            )

    def checkpoint_state(self, network: nn.Module) -> dict[str, Tensor]:
        """Return the adapters."""
        return {name: value for name, value in network.state_dict().items() if "lora" in name}

    def model(self, network: nn.Module, provenance: Mapping[str, Any]) -> ModelFile:
        """Return the adapters in the format of diffusers as a model file."""
        architecture = {
            "base": self.base.name,
            "kind": self.base.kind,
            **self._digests,
            **self.settings.lora.model_dump(),
        }
        return ModelFile("dreambooth", lora_tensors(network), architecture, dict(provenance))

    def _crop(self, image: Tensor) -> Tensor | None:
        image = image.float()  # NumPy has no bf16, and the networks decode in the precision of the training
        face = self._finder.find(to_images(image[None])[0])
        if face is None:
            return None
        if self.settings.crop == "aligned":
            return aligned_crop(image[None], face.landmarks[None])
        x, y, width, height = face.box
        return box_crop(image, np.array([x, y, x + width, y + height]))

    def _recognise(self, crops: Tensor) -> Tensor:
        assert self.recogniser is not None
        return self.recogniser(crops)

    def _compared(self, prior: Faces) -> list[tuple[str, Faces]]:
        """Return the clean images that the identity loss compares with, by the key of their setting."""
        data = [("data", self.faces)]
        return data if self.settings.identity_loss == "identity" else [*data, ("prior", prior)]

    def _targets(self, images: Tensor, drawn: Tensor) -> Tensor:
        """Embed the clean images of a step: instances, then prior images."""
        count = len(drawn)
        instances, prior = images[:count], images[count:]
        if self.settings.negative == "other":
            prior = _floats(self.prior[_other_order(len(self.prior))[drawn]]).to(images.device)
        if self.settings.positive == "last":
            positive = self._last.expand(count, -1).to(images.device)
            return torch.cat([positive, _same_width(self._embeddings(prior), positive)])
        return self._embeddings(torch.cat([instances, prior]))

    @torch.no_grad()
    def _embeddings(self, images: Tensor) -> Tensor:
        """Embed clean images, (n, d); NaN where an image shows no face."""
        crops = [self._crop(image) for image in images]
        rows = [None if crop is None else self._recognise(crop) for crop in crops]
        size = next((row.shape[1] for row in rows if row is not None), 1)
        missing = images.new_full((1, size), torch.nan)
        return torch.cat([missing if row is None else row for row in rows])


SETTINGS = DreamBoothSettings


def make(settings: DreamBoothSettings) -> DreamBoothTask:
    """Open the base model and the data."""
    return DreamBoothTask(settings)


def _note_images_without_face(key: str, faces: Faces, finder: FaceDetector) -> str:
    """Return a note about images without a face, which have no identity loss; empty if each shows a face.

    Training skips unreadable images.

    Raises:
        InputError: no image shows a face.
    """
    readable = (try_read(faces, 0, index)[1] for index in range(len(faces)))
    without_face = [face.name for face in readable if face is not None and finder.find(face.image) is None]
    if not without_face:
        return ""
    names = ", ".join(without_face[:MAX_LISTED]) + (", ..." if without_face[MAX_LISTED:] else "")
    text = f"No face was found in {len(without_face)} of {len(faces)} images of {key} ({names})."
    if len(without_face) == len(faces):
        raise InputError(f"{text} The identity loss needs faces. Use identity_loss=none, or other images.")
    return f"{text} Steps with these images have no identity loss."


def _last_with_face(faces: Faces, finder: FaceDetector) -> Tensor:
    """Return the last image with a face, (1, 3, r, r) uint8."""
    for index in reversed(range(len(faces))):
        face = try_read(faces, 0, index)[1]
        if face is not None and finder.find(face.image) is not None:
            return torch.from_numpy(face.image).permute(2, 0, 1)[None]
    raise InputError("No image of data shows a face.")


def _other_order(count: int) -> Tensor:
    """Return a fixed random order of the prior images."""
    return torch.randperm(count, generator=torch.Generator().manual_seed(0))


def _same_width(embeddings: Tensor, wanted: Tensor) -> Tensor:
    """Widen the single NaN of images without a face to the width of an embedding."""
    return embeddings if embeddings.shape[1] == wanted.shape[1] else embeddings.expand(-1, wanted.shape[1])


def _floats(images: Tensor) -> Tensor:
    """Convert uint8 images to [-1, 1]."""
    return images.float() / 127.5 - 1


def _stack(faces: Faces) -> Tensor:
    """Read all images, (n, 3, r, r) uint8."""
    images: list[NDArray[np.uint8]] = [faces.read(index).image for index in range(len(faces))]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()


def _open_recogniser(settings: DreamBoothSettings) -> Embedder | None:
    if settings.identity_loss == "none":
        return None
    if settings.recogniser is None:
        raise InputError(
            f"identity_loss={settings.identity_loss} needs `recogniser`: weights of ArcFace iresnet100 (as "
            "released), or a model of `facebench train recognition`. Use a different recogniser for evaluation."
        )
    return open_recogniser(settings.recogniser)
