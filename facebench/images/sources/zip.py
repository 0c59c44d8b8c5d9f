"""Members of ZIP archives, decompressed one at a time and never written to disk."""

from __future__ import annotations

import functools
import lzma
import os
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from facebench.core.errors import InputError
from facebench.images.errors import ImageError
from facebench.images.sources.content import MAX_MEMBERS, Members, unsafe


@dataclass(frozen=True)
class ZipMember:
    """A file in a ZIP archive."""

    archive: Path
    member: str
    """Name as stored in the archive."""

    def read(self, name: str, max_bytes: int) -> bytes:
        """Return the decompressed bytes; the size and the checksum of the archive are verified."""
        try:
            file = opened(self.archive)
            size = file.getinfo(self.member).file_size
            if size > max_bytes:
                raise ImageError("too_large", f"more than {max_bytes} bytes", name)
            with file.open(self.member) as stream:
                # One byte more reaches the checksum. Without a limit, a member that states a false size is
                # decompressed in full.
                return stream.read(size + 1)
        except (KeyError, FileNotFoundError) as error:
            raise ImageError("missing", f"{self.archive.name} no longer holds it", name) from error
        except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError) as error:
            raise ImageError("truncated", f"the member of {self.archive.name} is damaged", name) from error
        except (RuntimeError, NotImplementedError) as error:  # encrypted, or an unknown compression
            raise ImageError("unreadable", str(error).splitlines()[0], name) from error
        except OSError as error:
            raise ImageError("unreadable", error.strerror or str(error), name) from error


def opened(path: Path) -> zipfile.ZipFile:
    """Return the open archive; it stays open for further members.

    Raises:
        OSError: the file cannot be read.
        BadZipFile: it is not a ZIP archive.
    """
    info = path.stat()
    return _opened(path, info.st_mtime_ns, info.st_size, os.getpid())


@functools.lru_cache(maxsize=8)
def _opened(path: Path, changed: int, size: int, process: int) -> zipfile.ZipFile:
    # The process is part of the key: a forked process shares the position in the file.
    return zipfile.ZipFile(path)


def members_of(path: Path) -> Members:
    """List the files of a ZIP archive.

    Raises:
        InputError: the archive cannot be read, is damaged, or has too many members.
    """
    try:
        infos = opened(path).infolist()
    except (zipfile.BadZipFile, OSError, ValueError) as error:
        raise InputError(f"{path} is not a readable ZIP archive: {error}. Copy it again.") from error
    if len(infos) > MAX_MEMBERS:
        raise InputError(f"{path} has {len(infos):,} members; at most {MAX_MEMBERS:,} are read.")
    members = Members()
    for info in infos:
        name = info.filename.replace("\\", "/")
        if info.is_dir():
            continue
        if unsafe(name):
            members.rejected.append((name, "outside", "the path leaves the archive"))
        elif name in members.contents:
            members.rejected.append(
                (name, "duplicate", "the archive holds this name twice; the last is used")
            )
        elif info.file_size == 0:
            members.rejected.append((name, "empty", "the file has no bytes"))
        else:
            members.contents[name] = ZipMember(path, info.filename)
    return members
