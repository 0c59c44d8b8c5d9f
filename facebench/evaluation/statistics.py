"""Mean and covariance of the features of an image set, with a sample of the features.

A covariance divides by n - 1. `facebench.evaluation.statistics_files` reads and writes them.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import numpy.typing as npt

from facebench.backbones import build
from facebench.core.environment import choose_device
from facebench.core.errors import InputError
from facebench.core.progress import Progress, no_progress
from facebench.features.extraction import extract
from facebench.features.store.sqlite import Store
from facebench.images.image_set import ImageSet
from facebench.images.names import normal_form
from facebench.metrics.arrays import Floats
from facebench.metrics.moments import Moments

SKETCH = 5000
"""Most images whose features are stored beside mean and covariance."""
ARRAYS = ("pool", "features", "embedding")
"""Arrays of networks that describe a whole image."""
_FOREIGN_N = 2**31
"""Assumed n of files without n: covariances from unknown n are used as they are."""


@dataclass(frozen=True)
class Origin:
    """Images and network of reference statistics."""

    n: int
    network: str
    array: str
    weights_sha256: str
    preprocessing: str
    images_digest: str


@dataclass(frozen=True)
class Sketch:
    """Features of some of the images, drawn at random, in the order of the set.

    Attributes:
        rows: (m, d) features.
        names: (m,) names of the images.
        identities: (m,) identities in normal form; empty where unknown.
    """

    rows: npt.NDArray[np.float32]
    names: tuple[str, ...]
    identities: tuple[str, ...]


@dataclass(frozen=True)
class ReferenceStatistics:
    """Mean and covariance of features.

    Attributes:
        mu: (d,) mean.
        sigma: (d, d) covariance.
        network: name of the backbone: as stored, or as named by the user.
        digest: digest of the images, or of the file if it holds only a part of what the images give.
        origin: provenance; None for files of other programs, whose network cannot be verified.
        sketch: features of some images; None for files of other programs.
    """

    mu: Floats
    sigma: Floats
    network: str
    digest: str = ""
    origin: Origin | None = None
    sketch: Sketch | None = None

    @cached_property
    def moments(self) -> Moments:
        """Moments for `facebench.metrics.frechet_distance`."""
        n = self.origin.n if self.origin else _FOREIGN_N
        return Moments(n, self.mu, self.sigma * (n - 1))

    @property
    def is_complete(self) -> bool:
        """Whether the sketch holds every image, so that every metric has the value of the images."""
        return self.origin is not None and self.sketch is not None and len(self.sketch.rows) == self.origin.n


def image_statistics(
    images: str | Path, network: str, *, device: str = "auto", progress: Progress = no_progress
) -> ReferenceStatistics:
    """Compute the statistics of the images of a folder, manifest or archive.

    Args:
        images: the images.
        network: name of a backbone with features, such as `inception-clean` or `lite0`.
        device: device of the network.
        progress: progress callback.

    Raises:
        InputError: fewer than two usable images, or a network without features.
        WeightsError: the weights of the network are missing.
    """
    opened = ImageSet.open(images)
    backbone = build(network, device=choose_device(device))
    extraction = extract(opened, [backbone], store=Store(), progress=progress, stage="images")
    array = next((name for name in ARRAYS if name in extraction.arrays[network]), None)
    if array is None:
        raise InputError(
            f"The network '{network}' has no features. Name another one, such as inception-clean."
        )
    used = np.flatnonzero(extraction.valid[network])
    if len(used) < 2:
        raise InputError(f"{images} has {len(used)} usable images; a covariance needs at least 2.")
    rows = extraction.arrays[network][array]
    moments = Moments.of(rows[used])
    weights, how = backbone.weights.sha256, backbone.preprocessing
    drawn = _draw(used)
    items = [extraction.items[row] for row in drawn]
    sketch = Sketch(
        np.asarray(rows[drawn], np.float32),
        tuple(item.name for item in items),
        tuple(normal_form(item.columns.get("identity", "")) for item in items),
    )
    origin = Origin(moments.n, network, array, weights, how, extraction.digest)
    return ReferenceStatistics(moments.mean, moments.covariance, network, extraction.digest, origin, sketch)


def _draw(rows: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Return all rows, or `SKETCH` of them drawn at random with a fixed seed, in order."""
    if len(rows) <= SKETCH:
        return rows
    return np.sort(np.random.default_rng(0).choice(rows, SKETCH, replace=False))
