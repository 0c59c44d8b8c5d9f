"""Which faces a step sees: a pure function of the seed and the step, so that resuming needs no memory."""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray


def seed_of(*words: int | str) -> int:
    """A 63-bit seed that depends on all words.

    Example:
        >>> seed_of(0, "order", 1) == seed_of(0, "order", 1), seed_of(0, "order", 1) == seed_of(0, "order", 2)
        (True, False)
    """
    digest = hashlib.sha256(repr(words).encode()).digest()
    return int.from_bytes(digest[:8], "little") >> 1


def order(faces: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """A permutation of 0..faces-1 for one pass over the data."""
    return np.random.default_rng(seed_of(seed, "order", epoch)).permutation(faces)


def rows_of_step(faces: int, batch: int, seed: int, step: int) -> NDArray[np.int64]:
    """Indices of the faces of step 0, 1, ...: passes follow each other without a gap.

    Example:
        >>> seen = [i for step in range(3) for i in rows_of_step(6, 4, seed=0, step=step).tolist()]
        >>> sorted(seen[:6]), sorted(seen[6:])
        ([0, 1, 2, 3, 4, 5], [0, 1, 2, 3, 4, 5])
    """
    places = np.arange(step * batch, (step + 1) * batch)
    epochs = {epoch: order(faces, seed, epoch) for epoch in np.unique(places // faces).tolist()}
    return np.array([epochs[place // faces][place % faces] for place in places.tolist()], np.int64)
