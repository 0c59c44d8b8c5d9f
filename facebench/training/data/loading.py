"""Batches of a training set, read ahead by worker processes; images that cannot be read are skipped."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, Sampler

from facebench.core.errors import InputError
from facebench.images.decoding import ImageError
from facebench.training.data.faces import Batch, Face, Faces
from facebench.training.data.order import rows_of_step

Read = tuple[int, Face | None, str | None]
"""Position in the batch, the image, and otherwise the reason why it cannot be read."""


@dataclass(frozen=True)
class Loading:
    """How a process reads its share of each batch.

    Attributes:
        batch_size: images per step over all processes.
        parts: parts into which the share is split (gradient accumulation).
        rank: number of this process.
        processes: number of processes.
        seed: seed of the order.
        workers: processes that read ahead.
    """

    batch_size: int
    parts: int = 1
    rank: int = 0
    processes: int = 1
    seed: int = 0
    workers: int = 0

    def check(self, faces: int) -> None:
        """Check that batches can be split evenly and are not larger than the data.

        Raises:
            InputError: otherwise.
        """
        if self.batch_size % (self.parts * self.processes):
            raise InputError(
                f"A batch of {self.batch_size} cannot be split into {self.parts} parts on each of {self.processes} "
                "processes. Make batch_size a multiple of both."
            )
        if faces < self.batch_size:
            raise InputError(
                f"The data holds {faces} images, fewer than one batch of {self.batch_size}. Use "
                f"batch_size={faces} or less, or more images."
            )


def load_batches(faces: Faces, loading: Loading, start: int, steps: int) -> Iterator[Batch]:
    """Yield this process's share of the batches of steps start ... steps - 1, in `loading.parts` parts per step.

    Raises:
        InputError: no image of a part can be read.
    """
    loading.check(len(faces))
    loader: DataLoader[Read] = DataLoader(
        _ReadByIndex(faces),
        batch_sampler=_ShareSampler(len(faces), loading, start, steps),
        num_workers=loading.workers,
        collate_fn=collate,
        # By default a loader draws from the global generator, which dropout uses.
        generator=torch.Generator(),
        pin_memory=torch.cuda.is_available(),
        # One thread per worker, so that workers do not compete for cores.
        worker_init_fn=_one_thread if loading.workers else None,
    )
    yield from iter(loader)


def try_read(faces: Faces, row: int, index: int) -> Read:
    """Read image `index` for position `row` of a batch; on failure return the reason instead."""
    try:
        return row, faces.read(index), None
    except ImageError as error:
        return row, None, str(error)


def collate(read: list[Read]) -> Batch:
    """Stack the images that could be read.

    Raises:
        InputError: none could be read.
    """
    faces = [(row, face) for row, face, _ in read if face is not None]
    skipped = tuple(reason for _, _, reason in read if reason is not None)
    if not faces:
        raise InputError(f"None of {len(read)} images could be read; the first: {skipped[0]}.")
    images = torch.from_numpy(np.stack([face.image for _, face in faces])).permute(0, 3, 1, 2)
    fields = {
        name: torch.from_numpy(np.stack([np.asarray(face.fields[name]) for _, face in faces]))
        for name in faces[0][1].fields
    }
    names = tuple(face.name for _, face in faces)
    rows = torch.tensor([row for row, _ in faces])
    return Batch(names, images.contiguous(), rows, fields, skipped)


class _ReadByIndex(Dataset[Read]):
    """Reads the image of a (position in the batch, index) pair."""

    def __init__(self, faces: Faces) -> None:
        self.faces = faces

    def __getitem__(self, item: tuple[int, int]) -> Read:
        return try_read(self.faces, *item)


class _ShareSampler(Sampler[list[tuple[int, int]]]):
    """Yields this process's (position, index) pairs of each step."""

    def __init__(self, faces: int, loading: Loading, start: int, steps: int) -> None:
        self.faces, self.loading, self.start, self.steps = faces, loading, start, steps

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        loading = self.loading
        share = loading.batch_size // loading.processes
        for step in range(self.start, self.steps):
            indices = rows_of_step(self.faces, loading.batch_size, loading.seed, step).tolist()
            pairs = list(enumerate(indices))[loading.rank * share : (loading.rank + 1) * share]
            size = share // loading.parts
            for part in range(loading.parts):
                yield pairs[part * size : (part + 1) * size]

    def __len__(self) -> int:
        return (self.steps - self.start) * self.loading.parts


def _one_thread(worker: int) -> None:
    torch.set_num_threads(1)
