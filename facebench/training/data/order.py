"""Order of the training images: a function of the seed and the step, so that resuming needs no state."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray


def seed_of(*words: int | str) -> int:
    """Derive a 63-bit seed from words.

    Example:
        >>> seed_of(0, "order", 1) == seed_of(0, "order", 1), seed_of(0, "order", 1) == seed_of(0, "order", 2)
        (True, False)
    """
    digest = hashlib.sha256(repr(words).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def order(faces: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """Return the permutation of 0..faces-1 for one epoch."""
    return np.random.default_rng(seed_of(seed, "order", epoch)).permutation(faces)


def rows_of_step(faces: int, batch_size: int, seed: int, step: int) -> NDArray[np.int64]:
    """Return the indices of the images in a batch; epochs follow each other without a gap.

    Args:
        faces: number of images in the training set.
        batch_size: number of images per step.
        seed: seed of the run.
        step: number of the step, from 0.

    Example:
        >>> indices = [i for step in range(3) for i in rows_of_step(6, 4, seed=0, step=step).tolist()]
        >>> sorted(indices[:6]), sorted(indices[6:])
        ([0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5])
    """
    positions = np.arange(step * batch_size, (step + 1) * batch_size)
    orders = {epoch: order(faces, seed, epoch) for epoch in np.unique(positions // faces).tolist()}
    return np.array(
        [orders[position // faces][position % faces] for position in positions.tolist()], np.int64
    )
