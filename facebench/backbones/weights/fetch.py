"""Download of weights into the cache folder, and import of files that the user downloaded by hand."""

from __future__ import annotations

import os
import shutil
import zipfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from facebench.backbones.weights import lockfile, registry
from facebench.backbones.weights.archive import LARGEST, extract, size_limit
from facebench.backbones.weights.cache import (
    by_hand,
    cache_dir,
    check,
    difference,
    missing_text,
    path_of,
    pin_first_copy,
    remedy,
    wheel_path,
)
from facebench.backbones.weights.contents import not_weights
from facebench.backbones.weights.digest import sha256_of
from facebench.backbones.weights.disk import writable
from facebench.backbones.weights.download import PAUSES, Refused, Rules, download, forget
from facebench.backbones.weights.inspection import unusable
from facebench.backbones.weights.registry import Entry
from facebench.core.errors import WeightsError
from facebench.core.files import atomic_path
from facebench.core.progress import Progress, no_progress

Accept = Callable[[Entry], bool]
"""Callback that asks the user to accept the licence of an entry; returns the answer."""


def offline() -> bool:
    """Return whether `FACEBENCH_OFFLINE` forbids the network."""
    return os.environ.get("FACEBENCH_OFFLINE", "") not in ("", "0")


def ensure(
    names: Iterable[str], *, accept: bool | Accept = False, progress: Progress | None = None
) -> list[Path]:
    """Download the missing weights of backbones.

    Args:
        names: names of backbones or registry entries.
        accept: whether non-commercial licences are accepted: for all entries, or a callback for each. It is
            used once per entry, before the first download.
        progress: callback invoked with the name of the entry, the bytes received and the total.

    Returns:
        The files, in the order of the registry.

    Raises:
        InputError: a name is neither a backbone nor an entry.
        WeightsError: a file needs a manual download, a licence is not accepted, the network is forbidden, or a
            download failed. The first three are raised before any download.
    """
    wanted = registry.select(names)
    missing = [entry for entry in wanted if not path_of(entry).is_file()]
    if missing and offline():
        raise WeightsError(f"FACEBENCH_OFFLINE forbids the network.\n{missing_text(missing)}")
    if any(not entry.urls for entry in missing):
        raise WeightsError(missing_text(missing))
    for entry in missing:
        ask_licence(entry, accept)
    for entry in missing:
        fetch(entry, progress=progress)
    return [path_of(entry) for entry in wanted]


def ask_licence(entry: Entry, accept: bool | Accept) -> None:
    """Require that a non-commercial licence is accepted; an earlier consent is in the lock file.

    Raises:
        WeightsError: the licence is not accepted.
    """
    folder = cache_dir()
    if lockfile.licence_accepted(folder, entry):
        return
    if accept is False or (callable(accept) and not accept(entry)):
        raise WeightsError(
            f"'{entry.name}' is for non-commercial use only: {entry.licence} ({entry.home}). "
            f"To accept: facebench weights fetch {entry.name} --accept-licence"
        )
    lockfile.accept_licence(folder, entry)


def fetch(entry: Entry, *, pauses: Sequence[float] = PAUSES, progress: Progress | None = None) -> Path:
    """Download one file into the cache folder, unless a valid copy is present.

    Concurrent processes download a file once. The file appears under its name only when it is complete and
    checked.

    Args:
        entry: registry entry of the file.
        pauses: seconds before each further attempt.
        progress: callback invoked with the name of the entry, the bytes received and the total.

    Returns:
        Path of the file.

    Raises:
        WeightsError: the download failed, the file cannot be written, or it is not the file of the registry.
    """
    target = cache_dir() / entry.file
    if _is_valid(entry, target):
        return target
    if offline():
        raise WeightsError(f"FACEBENCH_OFFLINE forbids the network.\n{missing_text([entry])}")
    if not entry.urls:
        raise WeightsError(missing_text([entry]))
    with _locked(target):
        if not _is_valid(entry, target):
            _try_urls(entry, target, pauses, progress or no_progress)
    return target


def import_file(entry: Entry, source: Path, *, unofficial: bool = False) -> Path:
    """Copy a file into the cache folder, after the same checks as for a download.

    A file without a published fingerprint must load as the weights of the entry's backbone.

    Args:
        entry: registry entry of the file.
        source: the file, or the zip archive that contains it.
        unofficial: accept other weights than the published ones, such as a retrained network. All numbers made
            with them are marked until the published file replaces them.

    Returns:
        Path of the copy.

    Raises:
        WeightsError: the file does not exist, it is not the file of the registry, it cannot be loaded, or the
            cache folder cannot be written to.
    """
    if unofficial and wheel_path(entry) is not None:
        raise WeightsError(
            f"'{entry.name}' comes with an installed package and cannot be replaced. "
            "Give your file to facebench.backbones.build(name, weights=FILE) instead."
        )
    if not source.is_file():
        raise WeightsError(f"The file {source} does not exist.")
    if kind := not_weights(source):
        raise WeightsError(f"{source} is not the file '{entry.name}': {kind}. {remedy(entry, source)}")
    target = cache_dir() / entry.file
    with _locked(target), writable(target.parent), atomic_path(target) as copy:
        if not (entry.member and zipfile.is_zipfile(source)):
            _copy(source, copy)
        elif problem := extract(entry, source, copy):
            raise WeightsError(f"{source} is not the archive of '{entry.name}': {problem}.")
        if unofficial:
            _pin_unofficial(entry, copy, source)
        else:
            check(entry, copy, named=source)
            _pin(entry, copy, str(source.resolve()))
    return target


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    """Hold the lock of a file in the cache folder."""
    with writable(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(target.with_name(f"{target.name}.lock"))
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _is_valid(entry: Entry, target: Path) -> bool:
    unofficial = lockfile.known(target.parent, entry).unofficial
    return target.is_file() and not unofficial and difference(entry, target) is None


def _try_urls(entry: Entry, target: Path, pauses: Sequence[float], progress: Progress) -> None:
    """Download from the URLs of an entry in turn, until one gives the right file."""
    partial = target.with_name(f"{target.name}.part")
    rules = Rules(entry.name, size_limit(entry) if entry.member is None else LARGEST, entry.pinned)
    failures = []
    for url in entry.urls:
        resumed = partial.exists()
        try:
            download(url, partial, rules, pauses=pauses, progress=progress)
            problem = _accept(entry, partial, target, url)
            if (
                problem and resumed
            ):  # The earlier part may be wrong, so download once more from the beginning.
                download(url, partial, rules, pauses=pauses, progress=progress)
                problem = _accept(entry, partial, target, url)
        except Refused as error:
            problem = str(error)
        if not problem:
            return
        failures.append(f"  {url}\n    {problem}")
    raise WeightsError("\n".join([f"'{entry.name}' could not be fetched:", *failures, by_hand(entry)]))


def _accept(entry: Entry, partial: Path, target: Path, url: str) -> str | None:
    """Move a complete download to its place, or delete it and return what is wrong with it."""
    unpacked = partial.with_name(f"{partial.name}.unpacked")
    try:
        problem = extract(entry, partial, unpacked) if entry.member else None
        file = unpacked if entry.member else partial
        problem = problem or difference(entry, file)
        if not problem:
            _pin(entry, file, url)
            with writable(target.parent):
                file.replace(target)
        return problem
    finally:
        forget(partial)
        unpacked.unlink(missing_ok=True)


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as stream, target.open("wb") as copy:
        shutil.copyfileobj(stream, copy, 1 << 20)


def _pin(entry: Entry, file: Path, source: str) -> None:
    """Record a checked file in the lock file."""
    if entry.pinned:
        lockfile.pin(cache_dir(), entry, sha256_of(file), source)
    else:
        pin_first_copy(entry, file, source)


def _pin_unofficial(entry: Entry, file: Path, source: Path) -> None:
    """Record other weights than the published ones in the lock file."""
    if entry.pinned and difference(entry, file) is None:
        raise WeightsError(
            f"{source} is the official file of '{entry.name}': import it without --unofficial."
        )
    if problem := unusable(entry, file):
        raise WeightsError(f"{source} does not fit '{entry.name}': {problem.replace(str(file), str(source))}")
    lockfile.pin(cache_dir(), entry, sha256_of(file), str(source.resolve()), unofficial=True)
