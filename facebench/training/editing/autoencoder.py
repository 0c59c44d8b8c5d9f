"""Batched encoding and rendering of face images with a diffusion autoencoder.

Source: Preechakul et al. 2022, "Diffusion autoencoders".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facebench.core.progress import Progress, no_progress
from facebench.training.engine.image_grid import to_images
from facebench.training.models import DiffusionAutoencoder

Images = NDArray[np.uint8]

_SMALLEST_ANGLE = 1e-4
"""Angle in radians below which spherical interpolation falls back to linear interpolation."""


@dataclass(frozen=True)
class Steps:
    """Numbers of DDIM steps for encoding and for rendering."""

    encode: int
    render: int


OFFICIAL = Steps(250, 100)
"""Steps of the official editing notebook."""
FAST = Steps(20, 20)
"""Steps of the official evaluation during training."""


@dataclass(frozen=True)
class Latents:
    """Latents of n faces.

    Attributes:
        z_sem: (n, d) semantic latents.
        x_T: (n, 3, s, s) stochastic latents.
    """

    z_sem: Tensor
    x_T: Tensor


class Autoencoder:
    """Encode and render face images with one network.

    Args:
        network: diffusion autoencoder in evaluation mode.
        steps: numbers of DDIM steps.
        batch: images per batch.
    """

    def __init__(self, network: DiffusionAutoencoder, steps: Steps = OFFICIAL, batch: int = 16) -> None:
        self.network, self.steps, self.batch = network, steps, batch

    @property
    def size(self) -> int:
        """Pixels per side of the images."""
        return self.network.config.size

    @property
    def code_channels(self) -> int:
        """Length of z_sem."""
        return self.network.config.code_channels

    @property
    def device(self) -> torch.device:
        """Device of the network."""
        return next(self.network.parameters()).device

    @torch.no_grad()
    def z_sem(self, images: Images) -> Tensor:
        """Encode images (n, s, s, 3) to semantic latents (n, d)."""
        return torch.cat([self.network.encode(batch) for batch in self._batches(images)])

    @torch.no_grad()
    def encode(self, images: Images, progress: Progress | None = None) -> Latents:
        """Encode images (n, s, s, 3) to semantic and stochastic latents."""
        report = progress or no_progress
        z_sem, x_T = [], []
        for batch in self._batches(images):
            z_sem.append(self.network.encode(batch))
            x_T.append(self.network.encode_stochastic(batch, z_sem[-1], self.steps.encode))
            report("encoding", sum(len(part) for part in x_T), len(images))
        return Latents(torch.cat(z_sem), torch.cat(x_T))

    @torch.no_grad()
    def render(self, latents: Latents, progress: Progress | None = None) -> Images:
        """Render latents to images (n, s, s, 3)."""
        report = progress or no_progress
        images = []
        for start in range(0, len(latents.z_sem), self.batch):
            rows = slice(start, start + self.batch)
            x_0 = self.network.decode(latents.x_T[rows], latents.z_sem[rows], self.steps.render)
            images.append(to_images(x_0))
            report("rendering", start + len(images[-1]), len(latents.z_sem))
        return np.concatenate(images)

    def _batches(self, images: Images) -> list[Tensor]:
        x_0 = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 127.5 - 1
        return [batch.to(self.device) for batch in torch.split(x_0, self.batch)]


def interpolated(first: Latents, second: Latents, shares: Tensor) -> Latents:
    """Interpolate between two faces: z_sem linearly, x_T spherically.

        z_sem(s) = (1 − s)·z_1 + s·z_2
        x_T(s)   = [sin((1 − s)·θ)·x_1 + sin(s·θ)·x_2] / sin θ,   θ = angle between x_1 and x_2

    Args:
        first: latents of the first face (n = 1).
        second: latents of the second face (n = 1).
        shares: (k,) values of s from 0 (first face) to 1 (second face).

    Returns:
        Latents of k faces.

    Source: Preechakul et al. 2022, section 5.2; Song et al. 2021 for x_T.
    """
    x_1, x_2 = first.x_T.flatten(), second.x_T.flatten()
    angle = torch.arccos((x_1 @ x_2 / (x_1.norm() * x_2.norm())).clamp(-1, 1))
    s = shares.to(x_1.device)[:, None]
    if float(angle) < _SMALLEST_ANGLE:
        x_T = (1 - s) * x_1 + s * x_2
    else:
        x_T = (torch.sin((1 - s) * angle) * x_1 + torch.sin(s * angle) * x_2) / torch.sin(angle)
    z_sem = (1 - s) * first.z_sem + s * second.z_sem
    return Latents(z_sem, x_T.view(-1, *first.x_T.shape[1:]))
