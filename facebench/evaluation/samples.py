"""The rows a metric is computed from: one set, two sets, matched pairs, or all pairs of identities."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from facebench.core.errors import InputError
from facebench.evaluation.cards import Card, Reads
from facebench.evaluation.inputs import LINKED
from facebench.evaluation.plan import PAIR_NETWORKS
from facebench.evaluation.role_features import Mask, Roles
from facebench.metrics.arrays import Array


@dataclass(frozen=True)
class Sample:
    """Rows of the generated images; the base of the other kinds."""

    generated: Array
    counts: Mapping[str, int]

    @property
    def arguments(self) -> list[Array]:
        """What a metric of this kind of sample is called with."""
        return [self.generated]

    @property
    def size(self) -> int:
        """What a card's smallest n is compared with."""
        return min(self.counts.values())

    @property
    def unit(self) -> str:
        """What `size` counts."""
        return "images"


@dataclass(frozen=True)
class Versus(Sample):
    """Rows of the generated and of the reference images, in no particular order."""

    reference: Array
    reference_identities: list[str | None]
    """Who the reference images show, None where that is not known."""

    @property
    def arguments(self) -> list[Array]:
        """Generated rows, then reference rows."""
        return [self.generated, self.reference]


@dataclass(frozen=True)
class Paired(Sample):
    """Row i of both belongs together: an edit and its source, a transfer and its target."""

    other: Array

    @property
    def arguments(self) -> list[Array]:
        """Generated rows, then what each belongs to."""
        return [self.generated, self.other]


@dataclass(frozen=True)
class Pairs(Sample):
    """Embeddings with identities; every pair of images is compared."""

    identities: list[str]
    reference: Array | None = None
    reference_identities: list[str] | None = None

    @property
    def size(self) -> int:
        """Number of identities."""
        return len(set(self.identities))

    @property
    def unit(self) -> str:
        """What `size` counts."""
        return "identities"

    @property
    def pairs(self) -> int:
        """How many comparisons there are."""
        n = len(self.generated)
        return n * (n - 1) // 2 if self.reference is None else n * len(self.reference)


@dataclass(frozen=True)
class Subject(Sample):
    """One identity: its images, what shows the same person, and what shows others."""

    others: Array
    other_identities: list[str]
    reference: Array | None = None
    """Reference images of the identity; None when its generated images are compared with each other."""


def draw_sample(card: Card, roles: Roles) -> Sample:
    """Choose the rows that a card's `needs` name.

    Raises:
        InputError: the input lacks what the card needs; the message is the reason in the record.
    """
    _refuse_missing_roles(card, roles)
    needs = set() if card.reads.backbone in PAIR_NETWORKS else set(card.needs)
    if "identities" in needs:
        pairs = _pairs(card.reads, roles, against="reference" in needs)
        return pairs if roles.subject is None else _subject(pairs, roles.subject)
    if "reference" in needs:
        generated, reference = _valid(roles, "generated", card.reads), _valid(roles, "reference", card.reads)
        counts = {"generated": len(generated), "reference": len(reference)}
        return Versus(generated, counts, reference, _names(roles, card.reads))
    if needs:
        return _paired(card.reads, roles, card.needs)
    generated = _valid(roles, "generated", card.reads)
    return Sample(generated, {"generated": len(generated)})


def _refuse_missing_roles(card: Card, roles: Roles) -> None:
    if "reference" in card.needs and "reference" not in roles.extractions:
        raise InputError("needs a reference set: --reference DIR")
    for role in LINKED:
        if role in card.needs and role not in roles.extractions:
            raise InputError(f"needs a manifest with the column '{role}'")


def _rows(roles: Roles, role: str, reads: Reads) -> tuple[Array, Mask]:
    names = [reads.array] if isinstance(reads.array, str) else list(reads.array)
    columns = [roles.rows(role, reads.backbone, name) for name in names]
    rows = columns[0][0] if len(names) == 1 else np.column_stack([column for column, _ in columns])
    return rows, columns[0][1]


def _valid(roles: Roles, role: str, reads: Reads) -> Array:
    rows, valid = _rows(roles, role, reads)
    kept = rows if valid.all() else rows[valid]
    if not reads.normalise or len(kept) == 0:
        return kept
    kept = np.asarray(kept, dtype=np.float64)
    return np.asarray(kept / np.linalg.norm(kept, axis=1, keepdims=True))


def _paired(reads: Reads, roles: Roles, needs: Sequence[str]) -> Paired:
    if "truth" in needs:
        rows, valid = _rows(roles, "generated", reads)
        other = roles.numbers(str(reads.array))
        if np.isnan(other).all():
            raise InputError(f"needs a manifest with numbers in the column '{reads.array}'")
        both = valid & ~np.isnan(other)
    else:
        first, second = needs if len(needs) == 2 else ("generated", needs[0])
        (rows, valid), (other, others_valid) = _linked(reads, roles, first), _linked(reads, roles, second)
        both = valid & others_valid & roles.counting
    return Paired(rows[both], {"generated": int(both.sum())}, other[both])


def _names(roles: Roles, reads: Reads) -> list[str | None]:
    """Who the reference images that `_valid` takes show."""
    _, valid = _rows(roles, "reference", reads)
    return [name for name, keep in zip(roles.identities("reference"), valid, strict=True) if keep]


def _linked(reads: Reads, roles: Roles, role: str) -> tuple[Array, Mask]:
    """For every generated item the row of what it belongs to in a role, and whether there is one."""
    rows, valid = _rows(roles, role, reads)
    if role == "generated":
        return rows, valid
    partner = roles.links[role]
    return rows[partner], (partner >= 0) & valid[partner]


def _pairs(reads: Reads, roles: Roles, *, against: bool) -> Pairs:
    generated, identities = _identified(roles, "generated", reads)
    counts = {"generated": len(generated)}
    if not against:
        return Pairs(generated, counts, identities)
    reference, reference_identities = _identified(roles, "reference", reads)
    if not set(identities) & set(reference_identities):
        raise InputError("no identity has the same name in the generated and in the reference set")
    return Pairs(
        generated, counts | {"reference": len(reference)}, identities, reference, reference_identities
    )


def _subject(pairs: Pairs, identity: str) -> Subject:
    """One identity of a set, against the reference where there is one."""
    own = np.array([name == identity for name in pairs.identities], dtype=np.bool_)
    generated = pairs.generated[own]
    rows, names = pairs.reference, pairs.reference_identities
    if rows is None or names is None:
        others = [name for name in pairs.identities if name != identity]
        return Subject(generated, {"generated": len(generated)}, pairs.generated[~own], others)
    same = np.array([name == identity for name in names], dtype=np.bool_)
    counts = {"generated": len(generated), "reference": int(same.sum())}
    return Subject(generated, counts, rows[~same], [name for name in names if name != identity], rows[same])


def _identified(roles: Roles, role: str, reads: Reads) -> tuple[Array, list[str]]:
    """Rows that hold a result and have an identity."""
    rows, valid = _rows(roles, role, reads)
    names = roles.identities(role)
    known = valid & np.array([name is not None for name in names], dtype=np.bool_)
    if not any(name is not None for name in names):
        raise InputError(
            f"needs identities in the {role} set: sub-folders, or a manifest with the column 'identity'"
        )
    return rows[known], [name for name, keep in zip(names, known, strict=True) if keep and name is not None]
