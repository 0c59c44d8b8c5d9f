"""Mean and covariance of the features of an image set, in NPZ files as pytorch-fid, clean-fid and EDM write them.

The keys are `mu` (d,) and `sigma` (d, d), with a covariance that divides by n - 1. Files of facebench also hold n, the
network, its array, the sha256 of its weights, the preprocessing, and the digest of the images.
"""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facebench.backbones import build
from facebench.core.environment import choose_device
from facebench.core.errors import InputError
from facebench.core.files import atomic_path
from facebench.core.progress import Progress, no_progress
from facebench.features.extraction import extract
from facebench.features.store.sqlite import Store
from facebench.images.image_set import ImageSet
from facebench.metrics.arrays import Floats
from facebench.metrics.moments import Moments

_FOREIGN_N = 2**31
"""Assumed n of files without n: covariances from unknown n are used as they are."""
_ASYMMETRY = 1e-6
"""Largest accepted relative difference of a covariance from its transpose."""


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
class ReferenceStatistics:
    """Mean and covariance of features.

    Attributes:
        mu: (d,) mean.
        sigma: (d, d) covariance.
        network: name of the backbone: as stored, or as named by the user.
        origin: provenance; None for files of other programs, whose network cannot be verified.
    """

    mu: Floats
    sigma: Floats
    network: str
    origin: Origin | None = None

    @property
    def moments(self) -> Moments:
        """Moments for `facebench.metrics.frechet_distance`."""
        n = self.origin.n if self.origin else _FOREIGN_N
        return Moments(n, self.mu, self.sigma * (n - 1))


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
    array = next(
        (name for name in ("pool", "features", "embedding") if name in extraction.arrays[network]), None
    )
    if array is None:
        raise InputError(
            f"The network '{network}' has no features. Name another one, such as inception-clean."
        )
    rows = extraction.arrays[network][array][extraction.valid[network]]
    if len(rows) < 2:
        raise InputError(f"{images} has {len(rows)} usable images; a covariance needs at least 2.")
    moments = Moments.of(rows)
    weights, how = backbone.weights.sha256, backbone.preprocessing
    origin = Origin(moments.n, network, array, weights, how, extraction.digest)
    return ReferenceStatistics(moments.mean, moments.covariance, network, origin)


def write_statistics(path: str | Path, statistics: ReferenceStatistics) -> None:
    """Write statistics to an NPZ file; it is replaced atomically.

    Raises:
        InputError: the file cannot be written.
    """
    origin = {} if statistics.origin is None else asdict(statistics.origin)
    arrays: dict[str, Any] = {"mu": statistics.mu, "sigma": statistics.sigma}
    arrays |= {name: np.array(value) for name, value in origin.items()}
    try:
        with atomic_path(Path(path)) as temporary, temporary.open("wb") as file:
            np.savez(file, **arrays)
    except OSError as error:
        raise InputError(
            f"{path} cannot be written: {error.strerror or error}. Name another file."
        ) from error


def read_statistics(path: str | Path, network: str | None = None) -> ReferenceStatistics:
    """Read statistics of facebench, pytorch-fid, clean-fid or EDM.

    Args:
        path: the NPZ file.
        network: network of a file that does not name it; checked against a file that does.

    Raises:
        InputError: the file is damaged, has other arrays, names another network, or names none and none is given.
    """
    arrays = _arrays_of(Path(path))
    mu, sigma = _checked(path, arrays)
    if "network" not in arrays:
        if network is None:
            raise InputError(f"{path} does not name its network. Name it, such as inception-legacy.")
        return ReferenceStatistics(mu, sigma, network)
    try:
        origin = Origin(
            n=int(arrays["n"]), **{name: str(arrays[name]) for name in Origin.__annotations__ if name != "n"}
        )
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not a whole statistics file: {error}. Write it again.") from error
    if network not in (None, origin.network):
        raise InputError(f"{path} was written with {origin.network}, not with {network}.")
    if origin.n < 2:
        raise InputError(f"{path}: n is {origin.n}; a covariance needs at least 2 images.")
    return ReferenceStatistics(mu, sigma, origin.network, origin)


def _arrays_of(path: Path) -> Mapping[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as file:
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise InputError(f"{path} is a single array; an NPZ file with mu and sigma is needed.")
            return {name: file[name] for name in file.files}
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as error:
        detail = " ".join(str(error).split())[:200]
        raise InputError(f"{path} is not a readable NPZ file: {detail}.") from error


def _checked(path: str | Path, arrays: Mapping[str, Any]) -> tuple[Floats, Floats]:
    """Return mean and covariance in float64."""
    missing = [name for name in ("mu", "sigma") if name not in arrays]
    if missing:
        raise InputError(
            f"{path} holds {', '.join(arrays) or 'nothing'}; the array '{missing[0]}' is missing."
        )
    if any(arrays[name].dtype.kind != "f" for name in ("mu", "sigma")):
        raise InputError(f"{path}: mu and sigma must be floats.")
    mu, sigma = np.asarray(arrays["mu"], np.float64), np.asarray(arrays["sigma"], np.float64)
    if mu.ndim != 1 or sigma.shape != (len(mu), len(mu)):
        raise InputError(f"{path}: mu is {mu.shape} and sigma {sigma.shape}; (d,) and (d, d) are needed.")
    if not (np.isfinite(mu).all() and np.isfinite(sigma).all()):
        raise InputError(f"{path}: mu or sigma holds NaN or infinity.")
    if np.abs(sigma - sigma.T).max() > _ASYMMETRY * np.abs(sigma).max() or np.diag(sigma).min() < 0:
        raise InputError(f"{path}: sigma is not a covariance: it must be symmetric, with variances >= 0.")
    return mu, sigma
