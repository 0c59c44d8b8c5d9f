"""Arrays of images in NPZ files, as ADM writes them: uint8 (n, h, w, 3), and labels (n,) where there are any.

Each image is read as a PPM file. Arrays that are stored without compression are read in place; compressed arrays are
decompressed in order, with a window of `WINDOW` bytes in memory.
"""

from __future__ import annotations

import struct
import threading
import zipfile
import zlib
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import IO, Any

import numpy as np
import numpy.typing as npt

from facebench.core.errors import InputError
from facebench.images.errors import ImageError
from facebench.images.sources.content import MAX_MEMBERS
from facebench.images.sources.ppm import header
from facebench.images.sources.zip import opened

WINDOW = 256 * 2**20
"""Bytes of decompressed images that are kept for readers that are behind."""
_LOCAL_HEADER = 30
"""Bytes of the fixed part of a local header in a ZIP archive."""


@dataclass(frozen=True)
class ArrayLayout:
    """Position and shape of the array of images in an NPZ file."""

    archive: Path
    member: str
    start: int
    """Offset of the first pixel: in the archive if `stored`, else in the decompressed member."""
    stored: bool
    count: int
    height: int
    width: int

    @property
    def size(self) -> int:
        """Bytes of the pixels of one image."""
        return self.height * self.width * 3


@dataclass(frozen=True)
class NpzImage:
    """One image of an array."""

    layout: ArrayLayout
    index: int

    def read(self, name: str, max_bytes: int) -> bytes:
        """Return the image as a PPM file."""
        layout = self.layout
        if layout.size > max_bytes:
            raise ImageError("too_large", f"{layout.size} bytes; at most {max_bytes}", name)
        try:
            pixels = _stored(layout, self.index) if layout.stored else _rows_of(layout).read(self.index)
        except FileNotFoundError as error:
            raise ImageError("missing", f"{layout.archive.name} was removed", name) from error
        except (zipfile.BadZipFile, zlib.error, EOFError) as error:
            raise ImageError("truncated", f"{layout.archive.name} is damaged", name) from error
        except OSError as error:
            raise ImageError("unreadable", error.strerror or str(error), name) from error
        return header(layout.height, layout.width) + pixels


def _stored(layout: ArrayLayout, index: int) -> bytes:
    with layout.archive.open("rb") as file:
        file.seek(layout.start + index * layout.size)
        data = file.read(layout.size)
    if len(data) < layout.size:
        raise EOFError
    return data


class _CompressedRows:
    """Reads images of a compressed array; a request before the window starts again at the first image."""

    def __init__(self, layout: ArrayLayout) -> None:
        self._layout = layout
        self._lock = threading.Lock()
        self._stream: IO[bytes] | None = None
        self._next = 0
        self._window: dict[int, bytes] = {}
        self._kept = max(1, WINDOW // layout.size)

    def read(self, index: int) -> bytes:
        with self._lock:
            if index not in self._window:
                self._advance(index)
            return self._window[index]

    def _advance(self, index: int) -> None:
        if self._stream is None or index < self._next:
            self._restart()
        while self._next <= index:
            assert self._stream is not None
            try:
                data = self._stream.read(self._layout.size)
            except BaseException:
                self._stream = None
                raise
            if len(data) < self._layout.size:
                self._stream = None
                raise EOFError
            self._window[self._next] = data
            self._window.pop(self._next - self._kept, None)
            self._next += 1

    def _restart(self) -> None:
        self._window.clear()
        self._stream = opened(self._layout.archive).open(self._layout.member)
        self._stream.read(self._layout.start)
        self._next = 0


@lru_cache(maxsize=4)
def _rows_of(layout: ArrayLayout) -> _CompressedRows:
    return _CompressedRows(layout)


def read_npz(path: Path) -> tuple[ArrayLayout, list[str] | None]:
    """Find the array of images and the labels of an NPZ file.

    The images are the only array of four dimensions; labels are an array of one dimension with one entry for each
    image.

    Raises:
        InputError: the file is damaged, or holds no uint8 array (n, h, w, 3).
    """
    try:
        archive = opened(path)
        headers = {info.filename: _array_header(archive, info) for info in archive.infolist()}
        layout = _layout(path, archive, headers)
        label = next((name for name, found in headers.items() if found.shape == (layout.count,)), None)
        labels = None if label is None else _labels(archive, label)
    except (zipfile.BadZipFile, OSError, ValueError, EOFError, zlib.error, RuntimeError) as error:
        raise InputError(
            f"{path} is not a readable NPZ file: {error}. Write it again with numpy.savez."
        ) from error
    return layout, labels


@dataclass(frozen=True)
class _Header:
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    start: int


def _array_header(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> _Header:
    with archive.open(info) as file:
        version = np.lib.format.read_magic(file)
        read = (
            np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        )
        shape, fortran, dtype = read(file)
        return _Header(shape, dtype, fortran, file.tell())


def _layout(path: Path, archive: zipfile.ZipFile, headers: dict[str, _Header]) -> ArrayLayout:
    names = [name for name, found in headers.items() if len(found.shape) == 4]
    if len(names) != 1:
        raise InputError(_no_images(path, headers))
    name, found = names[0], headers[names[0]]
    if found.shape[3] != 3 or found.dtype != np.uint8 or found.fortran:
        raise InputError(
            f"{path}: the array '{_stem(name)}' is {found.dtype} {found.shape}; images must be uint8 (n, h, w, 3), RGB."
        )
    count, height, width, _ = found.shape
    info = archive.getinfo(name)
    if not 0 < count <= MAX_MEMBERS or info.file_size != found.start + count * height * width * 3:
        raise InputError(
            f"{path}: the array '{_stem(name)}' has {count:,} images and {info.file_size:,} bytes."
        )
    stored = info.compress_type == zipfile.ZIP_STORED
    start = found.start + (_data_offset(path, info) if stored else 0)
    return ArrayLayout(path, name, start, stored, count, height, width)


def _no_images(path: Path, headers: dict[str, _Header]) -> str:
    names = {_stem(name) for name in headers}
    if {"mu", "sigma"} <= names:
        return f"{path} holds statistics (mu, sigma), not images. Give the images."
    found = ", ".join(f"{_stem(name)} {header.shape}" for name, header in headers.items()) or "nothing"
    return f"{path} holds {found}; one array of images (n, h, w, 3) is needed."


def _data_offset(path: Path, info: zipfile.ZipInfo) -> int:
    """Return the offset of the data of a member: its local header has a variable length."""
    with path.open("rb") as file:
        file.seek(info.header_offset)
        fixed = file.read(_LOCAL_HEADER)
    if len(fixed) < _LOCAL_HEADER:
        raise EOFError("cut short")
    name, extra = struct.unpack("<HH", fixed[26:30])
    return info.header_offset + _LOCAL_HEADER + int(name) + int(extra)


def _labels(archive: zipfile.ZipFile, member: str) -> list[str]:
    with archive.open(member) as file:
        labels: npt.NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
    return [str(label) for label in labels.tolist()]


def _stem(member: str) -> str:
    return member.removesuffix(".npy")
