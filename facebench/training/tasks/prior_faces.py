"""Prior faces: faces that the initial network generates, for L_PR and as negatives of the triplet loss."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from facebench.backbones.face_detection import FaceFinder
from facebench.core.errors import InputError
from facebench.training.data.faces import Faces
from facebench.training.data.loading import collate, try_read
from facebench.training.data.order import seed_of
from facebench.training.data.pairs import geometry_of
from facebench.training.engine.image_grid import to_images
from facebench.training.losses.frozen_networks import Embedder
from facebench.training.losses.triplets import Embeddings, embed_faces
from facebench.training.models import DiffusionAutoencoder
from facebench.training.tasks.face_batches import PREVIEW_STEPS

BATCH = 16


@dataclass(frozen=True)
class PriorFaces:
    """Faces that the initial network generates once, on the CPU.

    Attributes:
        images: (count, 3, s, s) in [-1, 1].
        identity: (count,) people whose z_sem they have; None if the data has no identities.
        embeddings: embeddings of these faces; None unless the triplet loss needs them.
    """

    images: Tensor
    identity: Tensor | None = None
    embeddings: Embeddings | None = None

    def __len__(self) -> int:
        return len(self.images)

    def negatives(self, rows: Tensor, device: torch.device | str) -> tuple[Embeddings, Tensor | None]:
        """Return the embeddings of some prior faces and the people of their codes.

        Args:
            rows: (n,) indices of prior faces.
            device: device of the results.
        """
        assert self.embeddings is not None
        vectors, known = (part[rows].to(device) for part in (self.embeddings.vectors, self.embeddings.known))
        return Embeddings(vectors, known), None if self.identity is None else self.identity[rows].to(device)


@torch.no_grad()
def prior_faces(network: DiffusionAutoencoder, faces: Faces, count: int, seed: int) -> PriorFaces:
    """Generate prior faces with the initial network, as in DreamBooth.

    Args:
        network: the autoencoder before training.
        faces: faces whose z_sem the prior faces get; x_T is noise.
        count: number of prior faces.
        seed: seed of the choice of faces and of the noise.

    Returns:
        The faces, without embeddings; the same for the same network and seed.
    """
    side = network.config.size
    indices = np.random.default_rng(seed_of(seed, "prior faces")).integers(len(faces), size=count)
    x_T = torch.randn((count, 3, side, side), generator=torch.Generator().manual_seed(seed_of(seed, "prior")))
    was_training = network.training
    network.eval()
    generated, people = [], []
    for start in range(0, count, BATCH):
        rows = indices[start : start + BATCH].tolist()
        batch = collate([try_read(faces, row, index) for row, index in enumerate(rows)])
        noise = x_T[start : start + len(batch)]
        generated.append(network.decode(noise, network.encode(batch.x_0), PREVIEW_STEPS))
        people.append(batch.fields.get("identity"))
    network.train(was_training)
    known = [identity for identity in people if identity is not None]
    return PriorFaces(torch.cat(generated), torch.cat(known) if len(known) == len(people) else None)


def with_embeddings(prior: PriorFaces, embed: Embedder) -> PriorFaces:
    """Add the embeddings of the prior faces.

    Raises:
        InputError: no prior face shows a face.
    """
    finder = FaceFinder()
    landmarks = np.stack([geometry_of(image, finder)[0] for image in to_images(prior.images)])
    parts = zip(
        torch.split(prior.images, BATCH), torch.split(torch.from_numpy(landmarks), BATCH), strict=True
    )
    embedded = [embed_faces(embed, images, points) for images, points in parts]
    known = torch.cat([part.known for part in embedded])
    if not bool(known.any()):
        raise InputError(
            f"None of the {len(prior)} faces that `init_from` generates shows a face, so loss.triplet.negative=prior "
            "has no negatives. Use a trained autoencoder as init_from, or loss.triplet.negative=other."
        )
    width = max(part.vectors.shape[1] for part in embedded)
    vectors = torch.cat([part.vectors.expand(-1, width) for part in embedded])
    return replace(prior, embeddings=Embeddings(vectors, known))
