"""Training of Stable Diffusion on one person: DreamBooth, PortraitBooth or ID-Booth, with LoRA."""

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
from facebench.training.losses.id_booth import STABLE_DIFFUSION, IdentityTerm, step_loss
from facebench.training.losses.identity_losses import Read, open_recogniser
from facebench.training.models.lora import LoraSettings
from facebench.training.models.stable_diffusion import Prompt, add_lora, lora_tensors, open_base

NAMED = 3
"""So many images that show nobody are named, the rest is counted."""


class DreamBoothSettings(TrainConfig):
    """Everything that decides a personal model."""

    base: str
    """Folder of the base model in diffusers' layout, or its name in the local hub cache."""
    data: DataSettings
    """Images of the person."""
    prior: Path
    """Folder of prior images, made by the base model from the class prompt (`facebench generate BASE FOLDER`)."""
    resolution: int = Field(512, gt=0)
    instance_prompt: str = "photo of sks person"
    class_prompt: str = "photo of a person"
    identity_loss: Literal["none", "identity", "triplet"] = "none"
    recogniser: Path | None = None
    """Recogniser of the identity loss: weights of ArcFace iresnet100, or a model of `facebench train recognition`."""
    crop: Literal["aligned", "box"] = "box"
    """What the recogniser sees of x̂₀: five-point alignment, or the detector's box as released."""
    prior_weight: float = Field(1.0, ge=0)
    weigh_timesteps: bool = True
    lora: LoraSettings = LoraSettings()


class DreamBoothTask(Task):
    """Learn to draw one person; only the adapters move."""

    def __init__(self, settings: DreamBoothSettings) -> None:
        self.settings = settings
        self.base = open_base(settings.base)
        self._unet = fingerprint(self.base.unet)
        unknown = prior_provenance.check(settings.prior, self.base, self._unet)
        self.faces: Faces = open_faces(settings.data, settings.resolution)
        prior_images = FolderFaces(settings.prior, settings.resolution)
        self.prior = _stacked(prior_images)
        self.prompts = [
            self.base.prompt(text, settings.resolution)
            for text in (settings.instance_prompt, settings.class_prompt)
        ]
        self.network = add_lora(self.base.unet, settings.lora.rank, settings.lora.alpha, settings.seed)
        if settings.gradient_checkpointing:
            self.base.recompute()
        self.read = _recogniser(settings)
        looked = settings.recogniser if self.read is not None else None
        self.warnings = (*unknown, *shared_network_warnings.warnings(looked))
        self._finder = FaceFinder()
        if self.read is not None:
            for what, images in (("data", self.faces), ("prior", prior_images)):
                _refuse_images_of_nobody(what, images, self._finder)

    def losses(self, network: nn.Module, batch: Batch, rng: StepRng) -> dict[str, Tensor]:
        """Reconstruction of instance and prior images, and the identity term."""
        settings, base, count = self.settings, self.base, len(batch)
        chosen = self.prior[rng.integers("prior", len(self.prior)).cpu()]
        images = torch.cat([batch.x_0, (chosen.float() / 127.5 - 1).to(rng.device)])
        base.vae.to(rng.device)
        side = settings.resolution // base.shrinks
        shape = (base.latent_channels, side, side)
        encoder, noise = (
            torch.cat([rng.normal(f"{what} {n}", shape) for n in range(2)]) for what in ("vae", "noise")
        )
        latents = base.latents(images, encoder)
        t = torch.cat([rng.integers(f"t {n}", len(STABLE_DIFFUSION)) for n in range(2)])
        prompt = Prompt.joined(self.prompts, count, rng.device)
        eps = base.eps(network, q_sample(latents, t, noise, STABLE_DIFFUSION), t, prompt)
        term = IdentityTerm(
            settings.identity_loss, base.decode, self._crop, self._recognise, settings.weigh_timesteps
        )
        embeddings = (
            self._embeddings(images) if settings.identity_loss != "none" else images.new_zeros(2 * count, 1)
        )
        found = step_loss(latents, noise, eps, t, term, embeddings, prior_weight=settings.prior_weight)
        parts = {"loss": found.total, "reconstruction": found.reconstruction}
        if settings.identity_loss != "none":
            identity = found.identity if found.identity is not None else torch.zeros(())
            parts |= {"identity": identity, "without_face": torch.tensor(float(found.without_face))}
        return parts

    def state(self) -> dict[str, Any]:
        """Which base model the adapters belong to."""
        return {"unet": self._unet}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Make sure that it is still that one.

        Raises:
            InputError: it is another one.
        """
        if state.get("unet", self._unet) != self._unet:
            raise InputError(
                f"base={self.settings.base} holds other weights than when this run began, and the adapters belong to "
                "those. Put the old model back, or begin anew with another --out."
            )

    def checkpoint_state(self, network: nn.Module) -> dict[str, Tensor]:
        """The adapters."""
        return {name: value for name, value in network.state_dict().items() if "lora" in name}

    def model(self, network: nn.Module, provenance: Mapping[str, Any]) -> ModelFile:
        """The adapters in diffusers' own format."""
        about = {
            "base": self.base.name,
            "kind": self.base.kind,
            "unet": self._unet,
            **self.settings.lora.model_dump(),
        }
        return ModelFile("dreambooth", lora_tensors(network), about, dict(provenance))

    def _crop(self, image: Tensor) -> Tensor | None:
        face = self._finder.find(to_images(image[None])[0])
        if face is None:
            return None
        if self.settings.crop == "aligned":
            return aligned_crop(image[None], face.landmarks[None])
        x, y, width, height = face.box
        return box_crop(image, np.array([x, y, x + width, y + height]))

    def _recognise(self, crops: Tensor) -> Tensor:
        assert self.read is not None
        return self.read(crops)

    @torch.no_grad()
    def _embeddings(self, images: Tensor) -> Tensor:
        """Of the clean images, each of which is known to show a face."""
        crops = [crop for crop in map(self._crop, images) if crop is not None]
        assert len(crops) == len(images)
        return torch.cat([self._recognise(crop) for crop in crops])


SETTINGS = DreamBoothSettings


def make(settings: DreamBoothSettings) -> DreamBoothTask:
    """Open the base model and the images."""
    return DreamBoothTask(settings)


def _refuse_images_of_nobody(what: str, faces: Faces, finder: FaceFinder) -> None:
    """Make sure that the identity loss has something to compare with.

    Raises:
        InputError: no face is found in some images. Those that cannot be read are left out of training anyway.
    """
    read = (try_read(faces, 0, index)[1] for index in range(len(faces)))
    nobody = [face.name for face in read if face is not None and finder.find(face.image) is None]
    if nobody:
        named = ", ".join(nobody[:NAMED]) + (", ..." if nobody[NAMED:] else "")
        raise InputError(
            f"No face was found in {len(nobody)} of {len(faces)} images of {what} ({named}). Remove them: the identity "
            "loss has nothing to compare with."
        )


def _stacked(faces: Faces) -> Tensor:
    """All images (n, 3, r, r) uint8."""
    images: list[NDArray[np.uint8]] = [faces.read(index).image for index in range(len(faces))]
    return torch.from_numpy(np.stack(images)).permute(0, 3, 1, 2).contiguous()


def _recogniser(settings: DreamBoothSettings) -> Read | None:
    if settings.identity_loss == "none":
        return None
    if settings.recogniser is None:
        raise InputError(
            f"identity_loss={settings.identity_loss} needs `recogniser`: weights of ArcFace iresnet100 (as "
            "released), or a model of `facebench train recognition`. Evaluate with another recogniser than that one."
        )
    return open_recogniser(settings.recogniser)
