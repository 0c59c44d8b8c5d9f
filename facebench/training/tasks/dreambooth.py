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

from facebench.backbones.face_detection import FaceFinder
from facebench.core.errors import InputError
from facebench.training.data import prior_provenance
from facebench.training.data.faces import Batch, Faces
from facebench.training.data.folders import FolderFaces
from facebench.training.data.loading import try_read
from facebench.training.data.sources import DataSettings, open_faces
from facebench.training.diffusion import q_sample
from facebench.training.engine.fingerprint import fingerprint
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
    prior_weight: float = Field(1.0, ge=0)
    weigh_timesteps: bool = True
    lora: LoraSettings = LoraSettings()


class DreamBoothTask(Task):
    """Train the adapters of the U-Net on images of one person."""

    def __init__(self, settings: DreamBoothSettings) -> None:
        self.settings = settings
        self.base = open_base(settings.base)
        self._unet_fingerprint = fingerprint(self.base.unet)
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
        self._finder = FaceFinder()
        if self.recogniser is not None:
            for key, images in (("data", self.faces), ("prior", prior_images)):
                _refuse_images_without_face(key, images, self._finder)

    def losses(self, network: nn.Module, batch: Batch, rng: StepRng) -> dict[str, Tensor]:
        """Compute the reconstruction loss of instance and prior images, and the identity loss."""
        settings, base, count = self.settings, self.base, len(batch)
        prior = self.prior[rng.integers("prior", len(self.prior)).cpu()]
        images = torch.cat([batch.x_0, (prior.float() / 127.5 - 1).to(rng.device)])
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
            settings.identity_loss, base.decode, self._crop, self._recognise, settings.weigh_timesteps
        )
        embeddings = (
            self._embeddings(images) if settings.identity_loss != "none" else images.new_zeros(2 * count, 1)
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
            "unet": self._unet_fingerprint,
            **self.settings.lora.model_dump(),
        }
        return ModelFile("dreambooth", lora_tensors(network), architecture, dict(provenance))

    def _crop(self, image: Tensor) -> Tensor | None:
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

    @torch.no_grad()
    def _embeddings(self, images: Tensor) -> Tensor:
        """Embed clean images, all of which show a face."""
        crops = [crop for crop in map(self._crop, images) if crop is not None]
        assert len(crops) == len(images)
        return torch.cat([self._recognise(crop) for crop in crops])


SETTINGS = DreamBoothSettings


def make(settings: DreamBoothSettings) -> DreamBoothTask:
    """Open the base model and the data."""
    return DreamBoothTask(settings)


def _refuse_images_without_face(key: str, faces: Faces, finder: FaceFinder) -> None:
    """Check that each readable image shows a face; training skips unreadable images.

    Raises:
        InputError: no face is found in some images.
    """
    readable = (try_read(faces, 0, index)[1] for index in range(len(faces)))
    without_face = [face.name for face in readable if face is not None and finder.find(face.image) is None]
    if without_face:
        names = ", ".join(without_face[:MAX_LISTED]) + (", ..." if without_face[MAX_LISTED:] else "")
        raise InputError(
            f"No face was found in {len(without_face)} of {len(faces)} images of {key} ({names}). Remove these images: "
            "the identity loss needs a face in each image."
        )


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
