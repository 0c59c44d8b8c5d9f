"""Rendering of transfers by a DiffusionRig."""

from __future__ import annotations

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
from facebench.training.engine.image_grid import to_images
from facebench.training.rig.buffers.flame_codes import Codes, Space, person_codes
from facebench.training.rig.buffers.images import ImageArray
from facebench.training.rig.buffers.results import Found
from facebench.training.rig.files import Trained
from facebench.training.rig.transfer.drawing import Drawing


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
    """A model that draws images from codes.

    Args:
        trained: the model.
        space: space of the codes.
        drawing: sampler, noise and candidates.
        device: device of the network.
    """

    def __init__(self, trained: Trained, space: Space, drawing: Drawing, device: str) -> None:
        self.trained, self.space, self.drawing, self.device = trained, space, drawing, device
        self.network = trained.network.to(device)

    @torch.no_grad()
    def paint(self, folder: Path, jobs: Sequence[Job], sources: Mapping[str, Found]) -> None:
        """Render the images that do not exist yet.

        Args:
            folder: output folder. With several candidates, `candidates` below it holds all of them, and
                `candidates.csv` their sharpness and the kept one.
            jobs: images to render.
            sources: photos and codes of the sources, by name.
        """
        missing = [job for job in jobs if not (folder / f"{job.name}.png").is_file()]
        if not missing:
            return
        photos = np.stack([sources[job.source.name].photo for job in missing])
        x_0 = (torch.from_numpy(photos).permute(0, 3, 1, 2).float() / 127.5 - 1).to(self.device)
        conditions = torch.stack([self._conditions(job.codes) for job in missing]).to(self.device)
        denoiser = self.network.driven_by(conditions, *self._extra_codes(missing))
        z, names = self.network.encode(x_0), [job.source.name for job in missing]
        drawn = [
            to_images(self.drawing.sample(denoiser, z, names, self.trained.size, candidate))
            for candidate in range(self.drawing.candidates)
        ]
        for row, job in enumerate(missing):
            self._save(folder, job, [images[row] for images in drawn])

    def _save(self, folder: Path, job: Job, candidates: Sequence[ImageArray]) -> None:
        kept = 0
        if len(candidates) > 1:
            kept, scores = self.drawing.chosen(candidates)
            for number, image in enumerate(candidates):
                save_image(folder / "candidates" / f"{job.name}-{number}.png", image)
            with (folder / "candidates.csv").open("a", encoding="utf-8") as file:
                if file.tell() == 0:
                    file.write("image,candidate,sharpness,kept\n")
                for number, score in enumerate(scores):
                    file.write(f"{job.name},{number},{score:.6g},{int(number == kept)}\n")
        save_image(folder / f"{job.name}.png", candidates[kept])

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
