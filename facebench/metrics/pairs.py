"""All pairs of images and their cosine scores, in tiles.

A pair is genuine when both images show one identity and an impostor pair otherwise. Among one set every
unordered pair of two different images counts once; against a reference set the full product counts.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from facebench.core.errors import InputError
from facebench.metrics.arrays import Array, Floats, Ints, matrix, unit_rows

BLOCK = 2048
"""Rows and columns of one tile of scores: 32 MB of float64."""


@dataclass(frozen=True)
class PairScores:
    """Cosine scores of pairs, and their identities.

    Attributes:
        genuine: (n,) scores of pairs of one identity.
        impostor: (m,) scores of pairs of two identities.
        genuine_identity: (n,) the identity of each genuine pair, as a number.
        impostor_identities: (m, 2) the two identities of each impostor pair.
    """

    genuine: Floats
    impostor: Floats
    genuine_identity: Ints
    impostor_identities: Ints


@dataclass(frozen=True)
class Tile:
    """Scores of a block of rows against a block of columns, split into genuine and impostor pairs.

    Attributes:
        scores: (r, c) cosines, reused for the next tile.
        rows: (r,) identities of the rows, ascending.
        columns: (c,) identities of the columns, ascending.
        triangle: only entries above the diagonal are pairs.
    """

    scores: Floats
    rows: Ints
    columns: Ints
    triangle: bool

    def split(self) -> tuple[Floats, Floats]:
        """Scores of the genuine and of the impostor pairs."""
        if not self.triangle and (self.rows[-1] < self.columns[0] or self.columns[-1] < self.rows[0]):
            return np.empty(0), self.scores.reshape(-1)
        genuine, impostor = self._masks()
        return self.scores[genuine], self.scores[impostor]

    def labelled(self) -> PairScores:
        """The pairs with their identities."""
        genuine, impostor = self._masks()
        i, j = np.nonzero(impostor)
        return PairScores(
            self.scores[genuine],
            self.scores[impostor],
            self.rows[np.nonzero(genuine)[0]],
            np.stack([self.rows[i], self.columns[j]], axis=1),
        )

    def _masks(self) -> tuple[Array, Array]:
        genuine = self.rows[:, None] == self.columns
        impostor = ~genuine
        if self.triangle:
            above = np.triu(np.ones(genuine.shape, dtype=bool), 1)
            genuine &= above
            impostor &= above
        return genuine, impostor


@dataclass(frozen=True)
class Gallery:
    """Unit-norm embeddings sorted by identity, of one set or two, from which tiles of scores are computed.

    Attributes:
        rows: (n, d) float64 unit vectors, sorted by identity.
        row_identities: (n,) identity of each as a number.
        columns: the second set, or the first again.
        column_identities: (m,) likewise, numbered alike.
        names: identity of each number.
        same: columns and rows are the same set.
    """

    rows: Floats
    row_identities: Ints
    columns: Floats
    column_identities: Ints
    names: tuple[str, ...]
    same: bool

    @classmethod
    def of(
        cls,
        embeddings: Array,
        identities: Sequence[object] | Array,
        reference: Array | None = None,
        reference_identities: Sequence[object] | Array | None = None,
    ) -> Gallery:
        """Check the input, number the identities (compared as strings), normalise and sort."""
        if (reference is None) != (reference_identities is None):
            raise InputError("give reference embeddings and reference identities together, or neither.")
        own, other = (
            _labels(identities),
            _labels([] if reference_identities is None else reference_identities),
        )
        names, codes = np.unique(np.concatenate([own, other]), return_inverse=True)
        rows, row_codes = _sorted(embeddings, codes[: len(own)], "embeddings")
        columns, column_codes = rows, row_codes
        if reference is not None:
            columns, column_codes = _sorted(reference, codes[len(own) :], "reference")
        if rows.shape[1] != columns.shape[1]:
            raise InputError(f"embeddings have {rows.shape[1]} features, reference has {columns.shape[1]}.")
        return cls(rows, row_codes, columns, column_codes, tuple(names.tolist()), reference is None)

    def tiles(self, block: int = BLOCK) -> Iterator[Tile]:
        """Yield all pairs; the same block size gives the same scores to the last bit."""
        for i in range(0, len(self.rows), block):
            for j in range(i if self.same else 0, len(self.columns), block):
                rows, columns = slice(i, i + block), slice(j, j + block)
                scores = self.rows[rows] @ self.columns[columns].T
                yield Tile(
                    scores, self.row_identities[rows], self.column_identities[columns], self.same and i == j
                )

    def counts(self) -> tuple[int, int]:
        """Count the genuine and the impostor pairs."""
        own = np.bincount(self.row_identities, minlength=len(self.names)).astype(object)
        other = np.bincount(self.column_identities, minlength=len(self.names)).astype(object)
        if self.same:
            genuine, total = int((own * (own - 1) // 2).sum()), len(self.rows) * (len(self.rows) - 1) // 2
        else:
            genuine, total = int((own * other).sum()), len(self.rows) * len(self.columns)
        return genuine, total - genuine


def pair_scores(
    embeddings: Array,
    identities: Sequence[object] | Array,
    reference: Array | None = None,
    reference_identities: Sequence[object] | Array | None = None,
    *,
    block: int = BLOCK,
) -> PairScores:
    """Cosine scores of all pairs among a set or, with a reference, of its full product with that set.

    Stores every score; `blocked_verification` gives the same statistics without storing them.

    Args:
        embeddings: (n, d), any norm but 0.
        identities: (n,) identity of each row, compared as strings.
        reference: (m, d) embeddings of the second set.
        reference_identities: (m,) likewise.
        block: rows and columns of a tile.

    Returns:
        Scores in [-1, 1] up to rounding, higher = more alike, in order of identity.

    Raises:
        InputError: labels that do not match the rows, different widths, a row of zeros, NaN or infinity.

    Example:
        >>> scores = pair_scores([[1.0, 0.0], [2.0, 0.0], [0.0, 1.0]], ["a", "a", "b"])
        >>> scores.genuine.tolist(), scores.impostor.tolist()
        ([1.0], [0.0, 0.0])
    """
    gallery = Gallery.of(embeddings, identities, reference, reference_identities)
    parts = [tile.labelled() for tile in gallery.tiles(block)]
    return PairScores(
        np.concatenate([p.genuine for p in parts]),
        np.concatenate([p.impostor for p in parts]),
        np.concatenate([p.genuine_identity for p in parts]),
        np.concatenate([p.impostor_identities for p in parts]),
    )


def _labels(identities: Sequence[object] | Array) -> Array:
    return np.array([str(name) for name in identities], dtype=np.str_)


def _sorted(embeddings: Array, codes: Ints, name: str) -> tuple[Floats, Ints]:
    rows = matrix(embeddings, name)
    if len(codes) != len(rows):
        raise InputError(f"{name}: {len(codes)} identities for {len(rows)} rows; give one per row.")
    order = np.argsort(codes, kind="stable")
    return unit_rows(rows[order], name), codes[order]
