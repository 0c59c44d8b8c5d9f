"""Bringing weights to this machine: fetched from their homes, or imported from a file that a person got."""

from __future__ import annotations

import os
import shutil
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from facebench.backbones.weights import lockfile, registry
from facebench.backbones.weights.cache import (
    by_hand,
    cache_dir,
    check,
    difference,
    hold_to_first_copy,
    missing_text,
    not_weights,
    path_of,
    refuse_other_files,
    wheel_path,
)
from facebench.backbones.weights.digest import sha256_of
from facebench.backbones.weights.download import PAUSES, Refused, download, forget
from facebench.backbones.weights.lockfile import writable
from facebench.backbones.weights.registry import Entry
from facebench.core.errors import WeightsError

Accept = Callable[[Entry], bool]
"""Asked before the first fetch of weights that may not be used commercially."""
Progress = Callable[[str, int, int | None], None]
"""Called with the entry's name, the bytes at hand and the bytes in total (None while unknown)."""


def offline() -> bool:
    """Whether `FACEBENCH_OFFLINE` forbids the network."""
    return os.environ.get("FACEBENCH_OFFLINE", "") not in ("", "0")


def ensure(
    names: Iterable[str], *, accept: bool | Accept = False, progress: Progress | None = None
) -> list[Path]:
    """Make the weights of these backbones (or entries) present, fetching what is missing.

    Args:
        names: of backbones or registry entries.
        accept: whether licences that exclude commercial use are accepted: for all, or asked one by one. Asked
            only before the first fetch of an entry.
        progress: told about every block of every download.

    Returns:
        The files, in the order of the registry.

    Raises:
        InputError: a name is neither backbone nor entry.
        WeightsError: a file can only be had by hand, a licence is not accepted, the network is forbidden, or
            a download failed. What needs a person is said before anything is fetched.
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
    """Hold back weights that exclude commercial use until their licence was accepted, once.

    Raises:
        WeightsError: it was not accepted.
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
    """Fetch one file into the cache folder, unless a good copy is there; one process at a time.

    The file appears under its name only when it is whole and checked.

    Raises:
        WeightsError: it cannot be fetched or written, or is not the file that the registry describes.
    """
    target = cache_dir() / entry.file
    if _is_good(entry, target):
        return target
    if offline():
        raise WeightsError(f"FACEBENCH_OFFLINE forbids the network.\n{missing_text([entry])}")
    if not entry.urls:
        raise WeightsError(missing_text([entry]))
    with _locked(target):
        if not _is_good(entry, target):
            _from_any_address(entry, target, pauses, progress)
    return target


def import_file(entry: Entry, source: Path, *, unofficial: bool = False) -> Path:
    """Copy a file that a person got into the cache folder, checked like a fetched one.

    Args:
        entry: what it is.
        source: the file, or the zip archive that it is published in.
        unofficial: take other weights than the published ones, such as a network trained again. Every number
            made with them says so, until the published file is fetched or imported.

    Raises:
        WeightsError: there is no such file, it is not the one the registry describes, or the cache folder
            cannot be written to.
    """
    if unofficial and wheel_path(entry) is not None:
        raise WeightsError(
            f"'{entry.name}' comes with an installed package and cannot be replaced. "
            "Give your file to facebench.backbones.build(name, weights=FILE) instead."
        )
    if not source.is_file():
        raise WeightsError(f"There is no file {source}.")
    target = cache_dir() / entry.file
    copy = target.with_name(f"{target.name}.import")
    with _locked(target):
        try:
            if not (entry.member and zipfile.is_zipfile(source)):
                _copy(source, copy)
            elif wrong := _unpack(entry.member, source, copy):
                raise WeightsError(f"{source} is not the archive of '{entry.name}': {wrong}.")
            if unofficial:
                refuse_other_files(copy)
                _put_in_place_unofficially(entry, copy, target, str(source.resolve()))
            else:
                check(entry, copy, named=source)
                _put_in_place(entry, copy, target, str(source.resolve()))
        finally:
            copy.unlink(missing_ok=True)
    return target


@contextmanager
def _locked(target: Path) -> Iterator[None]:
    with writable(target.parent):
        target.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(target.with_name(f"{target.name}.lock"))
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _is_good(entry: Entry, target: Path) -> bool:
    unofficial = lockfile.known(target.parent, entry).unofficial
    return target.is_file() and not unofficial and difference(entry, target) is None


def _from_any_address(entry: Entry, target: Path, pauses: Sequence[float], progress: Progress | None) -> None:
    partial = target.with_name(f"{target.name}.part")
    report = None if progress is None else _for_one(progress, entry.name)
    failures = []
    for url in entry.urls:
        continued = partial.exists()
        try:
            download(url, partial, checked=entry.pinned, pauses=pauses, progress=report)
            wrong = _accept(entry, partial, target, url)
            if wrong and continued:  # The bytes at hand before may be at fault: once more from the beginning.
                download(url, partial, checked=entry.pinned, pauses=pauses, progress=report)
                wrong = _accept(entry, partial, target, url)
        except Refused as error:
            wrong = str(error)
        if not wrong:
            return
        failures.append(f"  {url}\n    {wrong}")
    raise WeightsError("\n".join([f"'{entry.name}' could not be fetched:", *failures, by_hand(entry)]))


def _for_one(progress: Progress, name: str) -> Callable[[int, int | None], None]:
    return lambda done, total: progress(name, done, total)


def _accept(entry: Entry, partial: Path, target: Path, url: str) -> str | None:
    """Check a finished download and put it in place, or delete it and say what is wrong with it."""
    unpacked = partial.with_name(f"{partial.name}.unpacked")
    try:
        wrong = _unpack(entry.member, partial, unpacked) if entry.member else None
        file = unpacked if entry.member else partial
        wrong = wrong or difference(entry, file)
        if not wrong:
            _put_in_place(entry, file, target, url)
        forget(partial)
        return wrong
    finally:
        unpacked.unlink(missing_ok=True)


def _unpack(member: str, archive: Path, target: Path) -> str | None:
    """Take the one file of this name out of a zip archive, wherever it lies in it; says why it cannot."""
    try:
        with zipfile.ZipFile(archive) as opened, writable(target.parent):
            found = [info for info in opened.infolist() if info.filename.rsplit("/", 1)[-1] == member]
            if len(found) != 1:
                return f"the archive holds {len(found)} files named {member}, expected one"
            with opened.open(found[0]) as source, target.open("wb") as copy:
                shutil.copyfileobj(source, copy, 1 << 20)
    except (zipfile.BadZipFile, EOFError, NotImplementedError, zlib.error) as error:
        return not_weights(archive) or f"it is not a whole zip archive ({error})"
    return None


def _copy(source: Path, target: Path) -> None:
    with source.open("rb") as stream, writable(target.parent), target.open("wb") as copy:
        shutil.copyfileobj(stream, copy, 1 << 20)


def _put_in_place(entry: Entry, file: Path, target: Path, source: str) -> None:
    if entry.pinned:
        lockfile.trust(target.parent, entry, sha256_of(file), source)
    else:
        hold_to_first_copy(entry, file, source)
    with writable(target.parent):
        file.replace(target)


def _put_in_place_unofficially(entry: Entry, file: Path, target: Path, source: str) -> None:
    if entry.pinned and difference(entry, file) is None:
        raise WeightsError(
            f"{source} is the official file of '{entry.name}': import it without --unofficial."
        )
    lockfile.trust(target.parent, entry, sha256_of(file), source, unofficial=True)
    with writable(target.parent):
        file.replace(target)
