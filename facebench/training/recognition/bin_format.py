"""Verification benchmarks in insightface's `.bin` format, read without running code.

The format is a pickle of (encoded images, labels): a list of bytes and a list of booleans. Unpickling an arbitrary file
can run code or exhaust memory. This reader checks the pickle instructions before it executes any of them: they may
only build three containers of bytes and booleans. A second check refuses every lookup of a name.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from facebench.core.errors import InputError
from facebench.core.files import atomic_write_bytes

_CONTAINERS = {"EMPTY_LIST", "LIST", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"}
_STRUCTURE = {"PROTO", "FRAME", "STOP", "MARK", "APPEND", "APPENDS"}
_BYTES = {"SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "SHORT_BINSTRING", "BINSTRING"}
_BOOLEANS = {"NEWTRUE", "NEWFALSE"}
_MEMO_WRITE = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}
_MEMO_READ = {"GET", "BINGET", "LONG_BINGET"}
_ALLOWED = _CONTAINERS | _STRUCTURE | _BYTES | _BOOLEANS | _MEMO_WRITE | _MEMO_READ
_MOST_CONTAINERS = 3
"""The images, the labels, and the pair of both."""


@dataclass(frozen=True, eq=False)
class Benchmark:
    """Pairs of encoded face images."""

    images: tuple[bytes, ...]
    """(2n,) encoded images; 2i and 2i + 1 are pair i."""
    same: tuple[bool, ...]
    """(n,) True where both images of a pair show one person."""


class _NoNamesUnpickler(pickle.Unpickler):
    """Refuse every lookup of a class, function or persistent object."""

    def find_class(self, module: str, name: str) -> object:
        raise pickle.UnpicklingError(f"it refers to {module}.{name}")

    def persistent_load(self, pid: object) -> object:
        raise pickle.UnpicklingError("it refers to a persistent object")


def read_bin(path: str | Path) -> Benchmark:
    """Read a benchmark; the images stay encoded.

    Args:
        path: insightface `.bin` file, such as `lfw.bin`.

    Raises:
        InputError: the file cannot be read, holds more than bytes and booleans, is damaged, or does not hold two images
            per pair.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    _check_instructions(data, path)
    try:
        content = _NoNamesUnpickler(io.BytesIO(data), encoding="bytes").load()
    except Exception as error:  # a damaged pickle can raise nearly any exception
        raise _damaged(path, error) from error
    return _checked(content, path)


def write_bin(path: str | Path, images: Sequence[bytes], same: Sequence[bool]) -> None:
    """Write a benchmark that insightface's readers accept too; an existing file is replaced atomically.

    Args:
        path: file to write.
        images: (2n,) encoded images, usually JPEG or PNG of 112x112 aligned faces; 2i and 2i + 1 are pair i.
        same: (n,) True where both images of a pair show one person.

    Raises:
        InputError: there are not two images per pair, or an entry has another type.
    """
    path = Path(path)
    content = (list(images), list(same))
    _checked(content, path)
    atomic_write_bytes(path, pickle.dumps(content, protocol=4))


def _check_instructions(data: bytes, path: Path) -> None:
    containers = 0
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name not in _ALLOWED:
                raise InputError(
                    f"{path}: holds the pickle instruction {opcode.name}. Benchmark files need only lists "
                    "of bytes and booleans; this one holds something else, perhaps code. It was not opened."
                )
            # The unpickler allocates its memo up to the largest index.
            if opcode.name in _MEMO_WRITE and isinstance(argument, int) and argument > len(data):
                raise InputError(f"{path}: holds a memo index of {argument}, larger than the file.")
            containers += opcode.name in _CONTAINERS
            if containers > _MOST_CONTAINERS:
                raise InputError(
                    f"{path}: holds more than {_MOST_CONTAINERS} lists and tuples. It was not opened."
                )
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        raise _damaged(path, error) from error


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(f"{path}: is not a readable benchmark file ({error}). Fetch it again.")


def _checked(content: object, path: Path) -> Benchmark:
    if not isinstance(content, (tuple, list)) or len(content) != 2:
        raise InputError(f"{path}: a benchmark holds two lists, the images and the labels of the pairs.")
    images, same = content
    if not isinstance(images, list) or not all(type(image) is bytes for image in images):
        raise InputError(f"{path}: the images are not a list of bytes.")
    if not isinstance(same, list) or not all(type(label) is bool for label in same):
        raise InputError(f"{path}: the labels of the pairs are not a list of booleans.")
    if not same or len(images) != 2 * len(same):
        raise InputError(
            f"{path}: {len(same)} pairs need {2 * len(same)} images, the file holds {len(images)} images."
        )
    return Benchmark(tuple(images), tuple(same))
