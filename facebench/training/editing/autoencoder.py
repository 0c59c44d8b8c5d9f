"""A diffusion autoencoder at work: faces to codes, codes to faces, in batches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from facebench.training.diffusion import ddim_decode, ddim_encode
from facebench.training.engine.image_grid import to_images
from facebench.training.models import DiffAE

Images = NDArray[np.uint8]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Steps:
    """DDIM steps of encoding and of rendering."""

    encode: int
    render: int


OFFICIAL = Steps(250, 100)
"""What DiffAE's authors use for editing."""
FAST = Steps(20, 20)
"""What they use for evaluation during training."""


@dataclass(frozen=True)
class Codes:
    """What an autoencoder makes of n faces.

    Attributes:
        z_sem: (n, d) what the faces mean.
        x_T: (n, 3, s, s) everything else.
    """

    z_sem: Tensor
    x_T: Tensor


@torch.no_grad()
def stochastic_code(network: DiffAE, x_0: Tensor, z_sem: Tensor, steps: int) -> Tensor:
    """x_T (n, 3, s, s) of faces x_0 (n, 3, s, s) in [-1, 1] whose codes are z_sem (n, d), by DDIM backwards."""
    diffused = network.to_diffused(x_0, z_sem)
    return ddim_encode(network, diffused, z_sem, steps, clip=not network.config.refines)


@torch.no_grad()
def rendered(network: DiffAE, x_T: Tensor, z_sem: Tensor, steps: int) -> Tensor:
    """Faces (n, 3, s, s) in [-1, 1] of both codes, by DDIM."""
    diffused = ddim_decode(network, x_T, z_sem, steps, clip=not network.config.refines)
    return network.to_faces(diffused, z_sem).clamp(-1, 1)


class Autoencoder:
    """Encodes and renders faces with one network.

    Args:
        network: the diffusion autoencoder, in evaluation mode.
        steps: DDIM steps.
        batch: faces at a time.
    """

    def __init__(self, network: DiffAE, steps: Steps = OFFICIAL, batch: int = 16) -> None:
        self.network, self.steps, self.batch = network, steps, batch

    @property
    def size(self) -> int:
        """Pixels per side of the faces."""
        return self.network.config.size

    @property
    def device(self) -> torch.device:
        """Where the network is."""
        return next(self.network.parameters()).device

    @torch.no_grad()
    def z_sem(self, images: Images) -> Tensor:
        """Semantic codes (n, d) of faces (n, s, s, 3) uint8."""
        return torch.cat([self.network.encode(part) for part in self._parts(images)])

    @torch.no_grad()
    def encode(self, images: Images, progress: Progress | None = None) -> Codes:
        """Both codes of faces (n, s, s, 3) uint8."""
        z_sem, x_T = [], []
        for part in self._parts(images):
            z_sem.append(self.network.encode(part))
            x_T.append(stochastic_code(self.network, part, z_sem[-1], self.steps.encode))
            if progress is not None:
                progress(sum(len(done) for done in x_T), len(images))
        return Codes(torch.cat(z_sem), torch.cat(x_T))

    def render(self, codes: Codes, progress: Progress | None = None) -> Images:
        """Faces (n, s, s, 3) uint8 of codes."""
        made = []
        for start in range(0, len(codes.z_sem), self.batch):
            rows = slice(start, start + self.batch)
            x_0 = rendered(self.network, codes.x_T[rows], codes.z_sem[rows], self.steps.render)
            made.append(to_images(x_0))
            if progress is not None:
                progress(start + len(made[-1]), len(codes.z_sem))
        return np.concatenate(made)

    def _parts(self, images: Images) -> list[Tensor]:
        x_0 = torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2).float() / 127.5 - 1
        return [part.to(self.device) for part in torch.split(x_0, self.batch)]


def interpolated(first: Codes, second: Codes, shares: Tensor) -> Codes:
    """Codes between two faces: z_sem along the line, x_T along the sphere.

    Args:
        first: codes of one face (n = 1).
        second: codes of the other.
        shares: (k,) from 0 (the first) to 1 (the second).

    Returns:
        k codes.

    Source: Preechakul et al. 2022, section 5.2; Song et al. 2021 for the sphere.
    """
    a, b = first.x_T.flatten(), second.x_T.flatten()
    angle = torch.arccos((a @ b / (a.norm() * b.norm())).clamp(-1, 1))
    along = shares.to(a.device)[:, None]
    if float(angle) < 1e-4:
        x_T = (1 - along) * a + along * b
    else:
        x_T = (torch.sin((1 - along) * angle) * a + torch.sin(along * angle) * b) / torch.sin(angle)
    z_sem = (1 - along) * first.z_sem + along * second.z_sem
    return Codes(z_sem, x_T.view(-1, *first.x_T.shape[1:]))
