"""Samples: rows from which a metric is computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from facebench.evaluation.inputs import HELD_OUT
from facebench.metrics.arrays import Array
from facebench.metrics.moments import Moments
from facebench.metrics.units import Units


@dataclass(frozen=True)
class Sample:
    """Rows of the generated images; base class of the other samples."""

    generated: Array
    counts: Mapping[str, int]
    units: Units

    @property
    def arrays(self) -> dict[str, Any]:
        """Arrays by the argument names of `facebench.metrics.registry`."""
        return {"generated": self.generated}

    @property
    def size(self) -> int:
        """Size that is compared with the smallest n of a card."""
        return min(self.counts.values())

    @property
    def unit(self) -> str:
        """Unit of `size`."""
        return "images"

    @property
    def remark(self) -> str:
        """Why every value of the sample needs care."""
        return ""


@dataclass(frozen=True)
class TwoSets(Sample):
    """Rows of the generated and of the reference images, in no particular order."""

    reference: Array | Moments
    """Features; moments if only mean and covariance are known."""
    reference_units: Units | None
    """Resampling units of the reference; None for moments, which count as exact."""
    reference_identities: list[str | None]
    """Identities of the reference images; None for unknown identities."""
    note: str = ""
    """Why the value needs care."""

    @property
    def arrays(self) -> dict[str, Any]:
        """Generated rows, reference rows, and identities of the reference rows."""
        identities = self.reference_identities
        return {**super().arrays, "reference": self.reference, "reference_identities": identities}


@dataclass(frozen=True)
class MemberSets(TwoSets):
    """Rows of the generated images, of the training set, and of images that were not trained on."""

    held_out: Array = field(kw_only=True)
    held_out_units: Units = field(kw_only=True)

    @property
    def arrays(self) -> dict[str, Any]:
        """Generated rows, training rows, and held-out rows."""
        return {**super().arrays, HELD_OUT: self.held_out}


@dataclass(frozen=True)
class ImagePairs(Sample):
    """Paired rows: row i of both arrays is one pair, such as an edit and its source."""

    partner: Array

    @property
    def arrays(self) -> dict[str, Any]:
        """Generated rows and their partners."""
        return {**super().arrays, "partner": self.partner}


@dataclass(frozen=True)
class IdentityPairs(Sample):
    """Embeddings with identities; all pairs of images are compared."""

    identities: list[str]
    reference: Array | None = None
    reference_identities: list[str] | None = None

    @property
    def size(self) -> int:
        """Number of identities."""
        return len(set(self.identities))

    @property
    def unit(self) -> str:
        """Unit of `size`."""
        return "identities"

    @property
    def pairs(self) -> int:
        """Number of comparisons."""
        n = len(self.generated)
        return n * (n - 1) // 2 if self.reference is None else n * len(self.reference)


@dataclass(frozen=True)
class SubjectPairs(Sample):
    """Pairs of one identity: its images, images of the same person, and images of other people.

    Attributes:
        others: embeddings of other identities.
        other_identities: their identities.
        reference: reference images of the identity; None if generated images are compared with each other.
    """

    others: Array
    other_identities: list[str]
    reference: Array | None = None


@dataclass(frozen=True)
class Edits(Sample):
    """The strongest edit of each source towards each expression; `generated` holds the predicted expressions."""

    partner: Array
    score: Array
    identity: Array | None

    @property
    def arrays(self) -> dict[str, Any]:
        """Predicted and wanted expressions, scores of the wanted ones, and cosines with the sources."""
        extra = {"partner": self.partner, "score": self.score, "identity": self.identity}
        return {**super().arrays, **extra}

    @property
    def unit(self) -> str:
        """Unit of `size`."""
        return "edits"


@dataclass(frozen=True)
class Clips(Sample):
    """One number for each clip."""

    @property
    def size(self) -> int:
        """Number of clips."""
        return self.counts["clips"]

    @property
    def unit(self) -> str:
        """Unit of `size`."""
        return "clips"


@dataclass(frozen=True)
class EditGrid(ImagePairs):
    """Every face at every strength, (faces, k): which edits show the expression, and as partner, which keep the person.

    Attributes:
        strengths: (k,) in ascending order.
        fallback: why the threshold of the recogniser is not that of the sources; empty if it is.
    """

    strengths: Array
    fallback: str = ""

    @property
    def remark(self) -> str:
        """Why the value needs care: the threshold of the recogniser."""
        return self.fallback

    @property
    def size(self) -> int:
        """Number of faces."""
        return len(self.generated)

    @property
    def unit(self) -> str:
        """Unit of `size`."""
        return "faces"


@dataclass(frozen=True)
class VerifiedEdits(ImagePairs):
    """Edits and their sources, with the threshold from which they count as one person, repeated for every row."""

    threshold: Array

    @property
    def arrays(self) -> dict[str, Any]:
        """Generated rows, their sources, and thresholds."""
        return {**super().arrays, "threshold": self.threshold}

    @property
    def size(self) -> int:
        """Number of edits."""
        return self.counts["generated"]
