"""Rendering of transfers by a DiffusionRig."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from facebench.core.errors import InputError
from facebench.core.files import atomic_path
from facebench.images.image_set import Item
from facebench.training.diffusion import ddim_decode
from facebench.training.engine.image_grid import to_images
from facebench.training.rig.buffers.flame_codes import Codes, Space, person_codes
from facebench.training.rig.buffers.images import ImageArray
from facebench.training.rig.buffers.results import Found
from facebench.training.rig.files import Trained


@dataclass(frozen=True)
class Job:
    """One image to render.

    Attributes:
        name: path in the output folder, without suffix.
        source: image whose photo the encoder reads.
        codes: codes whose buffers condition the model.
    """

    name: str
    source: Item
    codes: Codes


class Painter:
    """A model, its DDIM steps and the seed of its initial noise.

    Args:
        trained: the model.
        space: space of the codes.
        steps: number of DDIM steps.
        seed: seed of the noise.
        device: device of the network.
    """

    def __init__(self, trained: Trained, space: Space, steps: int, seed: int, device: str) -> None:
        self.trained, self.space, self.steps, self.seed, self.device = trained, space, steps, seed, device
        self.network = trained.network.to(device)

    @torch.no_grad()
    def paint(self, folder: Path, jobs: Sequence[Job], sources: Mapping[str, Found]) -> None:
        """Render the images that do not exist yet.

        Args:
            folder: output folder.
            jobs: images to render.
            sources: photos and codes of the sources, by name.
        """
        missing = [job for job in jobs if not (folder / f"{job.name}.png").is_file()]
        if not missing:
            return
        photos = np.stack([sources[job.source.name].photo for job in missing])
        x_0 = (torch.from_numpy(photos).permute(0, 3, 1, 2).float() / 127.5 - 1).to(self.device)
        conditions = torch.stack([self._conditions(job.codes) for job in missing]).to(self.device)
        noise = torch.stack([self._noise(job.source) for job in missing]).to(self.device)
        denoiser = self.network.driven_by(conditions, *self._extra_codes(missing))
        images = to_images(ddim_decode(denoiser, noise, self.network.encode(x_0), self.steps))
        for job, image in zip(missing, images, strict=True):
            save_image(folder / f"{job.name}.png", image)

    def _conditions(self, codes: Codes) -> Tensor:
        conditions = torch.from_numpy(self.space.draw(codes, self.trained.size).conditions)
        conditions[:3].clamp_(0, self.trained.brightest)
        return conditions

    def _extra_codes(self, jobs: Sequence[Job]) -> list[Tensor]:
        """Codes of shape and identity, where the network takes them."""
        if not self.network.extra_codes:
            return []
        person = [person_codes(job.codes, self.space.name) for job in jobs]
        arrays = [np.concatenate([codes[name] for codes in person]) for name in self.network.extra_codes]
        return [torch.from_numpy(array).to(self.device) for array in arrays]

    def _noise(self, source: Item) -> Tensor:
        """Noise that depends on the seed and the name of the source only."""
        digest = hashlib.sha256(f"{self.seed}:{source.name}".encode()).digest()
        generator = torch.Generator().manual_seed(int.from_bytes(digest[:8], "little") >> 1)
        return torch.randn((3, self.trained.size, self.trained.size), generator=generator)


def save_image(path: Path, image: ImageArray) -> None:
    """Write an image as PNG, atomically.

    Raises:
        InputError: the disk is full or not writable.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic_path(path) as temporary:
            Image.fromarray(image).save(temporary, "PNG")
    except OSError as error:
        raise InputError(
            f"{path} cannot be written ({error}). Free some space and run the same command."
        ) from None
