"""From indices to batches: worker processes read ahead, and a face that cannot be read is named, not fatal."""

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


@dataclass(frozen=True)
class Loading:
    """How a process cuts its share out of every batch.

    Attributes:
        batch: faces per step over all processes.
        parts: parts that a process's share is cut into (gradient accumulation).
        rank: number of this process.
        processes: how many there are.
        seed: of the order.
        workers: processes that read ahead.
    """

    batch: int
    parts: int = 1
    rank: int = 0
    processes: int = 1
    seed: int = 0
    workers: int = 0

    def check(self, faces: int) -> None:
        """Refuse a batch that does not divide, or that is larger than the data.

        Raises:
            InputError: with what to change.
        """
        if self.batch % (self.parts * self.processes):
            raise InputError(
                f"A batch of {self.batch} cannot be shared by {self.processes} processes in {self.parts} parts "
                "each. Make `batch` a multiple of both."
            )
        if faces < self.batch:
            raise InputError(
                f"The data holds {faces} images, fewer than one batch of {self.batch}. Use batch={faces} or "
                "less, or more images."
            )


def load_batches(faces: Faces, loading: Loading, start: int, steps: int) -> Iterator[Batch]:
    """Batches of steps start ... steps - 1, `loading.parts` for each step, of this process's share.

    Raises:
        InputError: no face of a part can be read.
    """
    loading.check(len(faces))
    loader: DataLoader[Read] = DataLoader(
        _ByNumber(faces),
        batch_sampler=_Shares(len(faces), loading, start, steps),
        num_workers=loading.workers,
        collate_fn=collate,
        # Without one of its own, a loader draws from the global generator, which dropout reads.
        generator=torch.Generator(),
        pin_memory=torch.cuda.is_available(),
        # Workers are forked before any network has run, and must not fight over the processors.
        worker_init_fn=_one_thread if loading.workers else None,
    )
    yield from iter(loader)


def try_read(faces: Faces, row: int, index: int) -> Read:
    """Read face `index` for place `row` of a batch, or say why that is impossible."""
    try:
        return row, faces.read(index), None
    except ImageError as error:
        return row, None, str(error)


def collate(read: list[Read]) -> Batch:
    """Stack what could be read.

    Raises:
        InputError: nothing could be read.
    """
    faces = [(row, face) for row, face, _ in read if face is not None]
    skipped = tuple(trouble for _, _, trouble in read if trouble is not None)
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


class _ByNumber(Dataset[Read]):
    """Reads (place in the batch, index of the face)."""

    def __init__(self, faces: Faces) -> None:
        self.faces = faces

    def __getitem__(self, at: tuple[int, int]) -> Read:
        return try_read(self.faces, *at)


class _Shares(Sampler[list[tuple[int, int]]]):
    """This process's part of every step's indices."""

    def __init__(self, faces: int, loading: Loading, start: int, steps: int) -> None:
        self.faces, self.loading, self.start, self.steps = faces, loading, start, steps

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        own = self.loading
        share = own.batch // own.processes
        for step in range(self.start, self.steps):
            indices = rows_of_step(self.faces, own.batch, own.seed, step).tolist()
            places = list(enumerate(indices))[own.rank * share : (own.rank + 1) * share]
            size = share // own.parts
            for part in range(own.parts):
                yield places[part * size : (part + 1) * size]

    def __len__(self) -> int:
        return (self.steps - self.start) * self.loading.parts


def _one_thread(worker: int) -> None:
    torch.set_num_threads(1)
