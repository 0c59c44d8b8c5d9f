"""Statistics in NPZ files, with the keys of pytorch-fid, clean-fid and EDM: `mu` (d,) and `sigma` (d, d).

Files of facebench also hold n, the network, its array, the sha256 of its weights, the preprocessing, the digest of the
images, and the features of some images (`sketch`) with their names and identities.
"""

from __future__ import annotations

import hashlib
import zipfile
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np

from facebench.core.errors import InputError
from facebench.core.files import atomic_path
from facebench.evaluation.statistics import Origin, ReferenceStatistics, Sketch
from facebench.metrics.arrays import Floats

SUFFIX = ".npz"
_ASYMMETRY = 1e-6
"""Largest accepted relative difference of a covariance from its transpose."""
_KEYS = frozenset({"mu", "sigma"})
_DAMAGED = (OSError, ValueError, EOFError, zipfile.BadZipFile)


def holds_statistics(path: str | Path) -> bool:
    """Return whether a file is named like an NPZ file and holds mean and covariance, not images."""
    path = Path(path)
    if path.suffix.lower() != SUFFIX or not path.is_file():
        return False
    try:
        with zipfile.ZipFile(path) as archive:
            return bool(_KEYS & {name.removesuffix(".npy") for name in archive.namelist()})
    except (OSError, zipfile.BadZipFile):
        return False


def write_statistics(path: str | Path, statistics: ReferenceStatistics) -> None:
    """Write statistics to an NPZ file; it is replaced atomically.

    Raises:
        InputError: the file cannot be written.
    """
    origin = {} if statistics.origin is None else asdict(statistics.origin)
    arrays: dict[str, Any] = {"mu": statistics.mu, "sigma": statistics.sigma}
    arrays |= {name: np.array(value) for name, value in origin.items()}
    if statistics.sketch is not None:
        arrays["sketch"] = statistics.sketch.rows
        arrays["sketch_names"] = np.array(statistics.sketch.names)
        arrays["sketch_identities"] = np.array(statistics.sketch.identities)
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
            raise InputError(
                f"{path} does not name its network. Name it, such as --reference-network inception-legacy."
            )
        return ReferenceStatistics(mu, sigma, network, _digest_of(mu, sigma))
    origin = _origin_of(path, arrays)
    if network not in (None, origin.network):
        raise InputError(f"{path} was written with {origin.network}, not with {network}.")
    statistics = ReferenceStatistics(
        mu, sigma, origin.network, origin.images_digest, origin, _sketch_of(path, arrays, len(mu))
    )
    if statistics.is_complete:
        return statistics
    # The values of some metrics come from a part of the images, so records differ from those of the images.
    return ReferenceStatistics(mu, sigma, origin.network, _digest_of(mu, sigma), origin, statistics.sketch)


def _origin_of(path: str | Path, arrays: Mapping[str, Any]) -> Origin:
    try:
        texts = {name: str(arrays[name]) for name in Origin.__annotations__ if name != "n"}
        origin = Origin(n=int(arrays["n"]), **texts)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path} is not a whole statistics file: {error}. Write it again.") from error
    if origin.n < 2:
        raise InputError(f"{path}: n is {origin.n}; a covariance needs at least 2 images.")
    return origin


def _sketch_of(path: str | Path, arrays: Mapping[str, Any], width: int) -> Sketch | None:
    if "sketch" not in arrays:
        return None
    rows = arrays["sketch"]
    names, identities = (arrays.get(f"sketch_{name}", np.array([])) for name in ("names", "identities"))
    if rows.dtype.kind != "f" or rows.ndim != 2 or rows.shape[1] != width or not np.isfinite(rows).all():
        raise InputError(f"{path}: the sketch is {rows.dtype} {rows.shape}; floats (m, {width}) are needed.")
    if names.shape != (len(rows),) or identities.shape != (len(rows),):
        raise InputError(
            f"{path}: the sketch has {len(rows)} rows, and other numbers of names or identities."
        )
    return Sketch(
        np.asarray(rows, np.float32), tuple(map(str, names.tolist())), tuple(map(str, identities.tolist()))
    )


def _digest_of(mu: Floats, sigma: Floats) -> str:
    """Digest of the numbers, which does not depend on the compression of the file."""
    return hashlib.sha256(mu.tobytes() + sigma.tobytes()).hexdigest()


def _arrays_of(path: Path) -> Mapping[str, Any]:
    try:
        with np.load(path, allow_pickle=False) as file:
            if not isinstance(file, np.lib.npyio.NpzFile):
                raise InputError(f"{path} is a single array; an NPZ file with mu and sigma is needed.")
            return {name: file[name] for name in file.files}
    except _DAMAGED as error:
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
