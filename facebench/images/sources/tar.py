"""Members of TAR archives and of WebDataset shards, read in place.

In WebDataset shards, `KEY.png`, `KEY.json` and `KEY.cls` describe one image: scalar values of the JSON object become
columns, and the class becomes the column `label`.
"""

from __future__ import annotations

import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from facebench.core.errors import InputError
from facebench.images.errors import ImageError
from facebench.images.sources.content import MAX_MEMBERS, MAX_SIDECAR, Members, unsafe

SIDECARS = frozenset({"json", "cls"})


@dataclass(frozen=True)
class TarMember:
    """A file in an uncompressed TAR archive."""

    archive: Path
    offset: int
    size: int

    def read(self, name: str, max_bytes: int) -> bytes:
        """Return the bytes between two offsets of the archive."""
        if self.size > max_bytes:
            raise ImageError("too_large", f"more than {max_bytes} bytes", name)
        try:
            with self.archive.open("rb") as file:
                file.seek(self.offset)
                data = file.read(self.size)
        except FileNotFoundError as error:
            raise ImageError("missing", f"{self.archive.name} was removed", name) from error
        except OSError as error:
            raise ImageError("unreadable", error.strerror or str(error), name) from error
        if len(data) < self.size:
            raise ImageError("truncated", f"{self.archive.name} is cut short", name)
        return data


def members_of(path: Path) -> Members:
    """List the files of a TAR archive, and read the columns beside its images.

    Raises:
        InputError: the archive is compressed, damaged, or has too many members.
    """
    members = Members()
    try:
        with tarfile.open(path, "r:") as archive:
            for info in archive:
                _add(members, path, archive, info)
                if len(members.contents) > MAX_MEMBERS:
                    raise InputError(f"{path} has more than {MAX_MEMBERS:,} members.")
                archive.members.clear()  # type: ignore[attr-defined]  # it keeps every member otherwise
            end = archive.offset
        _check_end(path, end)
    except (tarfile.TarError, OSError, EOFError) as error:
        raise InputError(f"{path} {_problem(path, error, len(members.contents))}") from error
    return members


def _add(members: Members, path: Path, archive: tarfile.TarFile, info: tarfile.TarInfo) -> None:
    name = info.name.removeprefix("./")
    key, suffix = key_and_suffix(name)
    if info.isdir():
        return
    if unsafe(name):
        members.rejected.append((name, "outside", "the path leaves the archive"))
    elif not info.isreg() or info.issparse():
        members.rejected.append((name, "not_an_image", "is not a regular file"))
    elif info.size == 0:
        members.rejected.append((name, "empty", "the file has no bytes"))
    elif suffix in SIDECARS and not name.endswith("dataset.json"):
        members.columns[key] = {**members.columns.get(key, {}), **_sidecar(path, archive, info, suffix)}
    else:
        if name in members.contents:
            members.rejected.append(
                (name, "duplicate", "the archive holds this name twice; the last is used")
            )
        members.contents[name] = TarMember(path, info.offset_data, info.size)


def key_and_suffix(name: str) -> tuple[str, str]:
    """Split a member name at the first dot of its last part, as WebDataset does.

    Example:
        >>> key_and_suffix("a.b/000.seg.png")
        ('a.b/000', 'seg.png')
    """
    folder, slash, file = name.rpartition("/")
    key, _, suffix = file.partition(".")
    return folder + slash + key, suffix.lower()


def _sidecar(path: Path, archive: tarfile.TarFile, info: tarfile.TarInfo, suffix: str) -> Mapping[str, str]:
    stream = archive.extractfile(info) if info.size <= MAX_SIDECAR else None
    if stream is None:
        raise InputError(f"{path}: {info.name} has {info.size:,} bytes; at most {MAX_SIDECAR:,} are read.")
    try:
        text = stream.read().decode("utf-8")
        return {"label": text.strip()} if suffix == "cls" else scalars(json.loads(text))
    except (ValueError, RecursionError) as error:
        what = "a JSON object" if suffix == "json" else "UTF-8 text"
        raise InputError(f"{path}: {info.name} is not {what}. Correct the shard.") from error


def scalars(content: object) -> dict[str, str]:
    """Return the scalar values of a JSON object as text; nested values are left out.

    Raises:
        ValueError: the content is not an object.

    Example:
        >>> scalars({"identity": "anna", "age": 30, "box": [1, 2], "mask": None})
        {'identity': 'anna', 'age': '30'}
    """
    if not isinstance(content, dict):
        raise ValueError("not an object")
    kept = {
        str(name).strip(): value for name, value in content.items() if isinstance(value, str | int | float)
    }
    return {name: str(value).strip() for name, value in kept.items() if name and str(value).strip()}


def _check_end(path: Path, end: int) -> None:
    """Detect damage after the last member: `tarfile` stops at a damaged header as at the end of the archive."""
    with path.open("rb") as file:
        file.seek(end)
        following = file.read(tarfile.BLOCKSIZE)
    if following.strip(b"\0"):
        raise tarfile.ReadError("a header is damaged")
    if not following:
        raise tarfile.ReadError("the mark of the end is missing")


def _problem(path: Path, error: Exception, count: int) -> str:
    try:
        with path.open("rb") as file:
            start = file.read(6)
    except OSError as unreadable:
        return f"cannot be read: {unreadable.strerror}."
    if start.startswith((b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd")):
        return "is a compressed TAR archive. Images are read in place, so decompress it first."
    return f"is damaged after {count} members: {error}. Copy it again."
