"""Verification benchmarks in insightface's `.bin` format, read without trusting them.

Such a file is a pickle of (encoded images, which pairs are the same person). A pickle can run any code when
it is opened the ordinary way, so its instructions are checked first: only those that build lists and tuples
of bytes and booleans may occur.
"""

from __future__ import annotations

import io
import pickle
import pickletools
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from facebench.core.errors import InputError

_STRUCTURE = {"PROTO", "FRAME", "STOP", "MARK", "EMPTY_LIST", "LIST", "APPEND", "APPENDS"}
_TUPLES = {"TUPLE", "TUPLE1", "TUPLE2", "TUPLE3"}
_BYTES = {"SHORT_BINBYTES", "BINBYTES", "BINBYTES8", "SHORT_BINSTRING", "BINSTRING"}
_BOOLEANS = {"NEWTRUE", "NEWFALSE"}
_MEMO_WRITE = {"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE"}
_MEMO_READ = {"GET", "BINGET", "LONG_BINGET"}
_ALLOWED = _STRUCTURE | _TUPLES | _BYTES | _BOOLEANS | _MEMO_WRITE | _MEMO_READ


@dataclass(frozen=True, eq=False)
class Benchmark:
    """Pairs of encoded face images."""

    images: tuple[bytes, ...]
    """(2n,) encoded images; 2i and 2i + 1 are pair i."""
    same: tuple[bool, ...]
    """(n,) whether both images of a pair show one person."""


class _BuildsNothing(pickle.Unpickler):
    """Second lock behind the check of the instructions: no name is ever looked up."""

    def find_class(self, module: str, name: str) -> object:
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")

    def persistent_load(self, pid: object) -> object:
        raise pickle.UnpicklingError("it asks for a stored object")


def read_bin(path: str | Path) -> Benchmark:
    """Read a benchmark.

    Args:
        path: an insightface `.bin` file, such as `lfw.bin`.

    Returns:
        The encoded images and the truth of the pairs; nothing is decoded.

    Raises:
        InputError: the file cannot be read, would run code, is damaged, or does not hold two images a pair.
    """
    path = Path(path)
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}).") from error
    _refuse_instructions(data, path)
    try:
        content = _BuildsNothing(io.BytesIO(data), encoding="bytes").load()
    except Exception as error:  # a damaged pickle can raise nearly anything
        raise InputError(f"{path}: is not a readable benchmark file ({error}). Fetch it again.") from error
    return _checked(content, path)


def write_bin(path: str | Path, images: Sequence[bytes], same: Sequence[bool]) -> None:
    """Write a benchmark that insightface's own readers open too; the file appears whole or not at all.

    Args:
        path: the file to write.
        images: (2n,) encoded images, normally JPEG or PNG of 112x112 aligned faces; 2i and 2i + 1 are pair i.
        same: (n,) whether both images of a pair show one person.

    Raises:
        InputError: not two images a pair, or entries of another type.
    """
    path = Path(path)
    content = (list(images), list(same))
    _checked(content, path)
    partial = path.with_name(path.name + ".partial")
    partial.write_bytes(pickle.dumps(content, protocol=4))
    partial.replace(path)


def _refuse_instructions(data: bytes, path: Path) -> None:
    try:
        for opcode, argument, _ in pickletools.genops(data):
            if opcode.name not in _ALLOWED:
                raise InputError(
                    f"{path}: holds the pickle instruction {opcode.name}. Benchmark files need only lists "
                    "of bytes and booleans; this one holds something else, perhaps code. It was not opened."
                )
            # A memo index far beyond the file would make the reader reserve memory for all below it.
            if opcode.name in _MEMO_WRITE and isinstance(argument, int) and argument > len(data):
                raise InputError(f"{path}: holds a memo index of {argument}, which no such file needs.")
    except (ValueError, IndexError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: is not a readable benchmark file ({error}). Fetch it again.") from error


def _checked(content: object, path: Path) -> Benchmark:
    if not isinstance(content, (tuple, list)) or len(content) != 2:
        raise InputError(f"{path}: a benchmark is a pair of two lists, images and truth.")
    images, same = content
    if not isinstance(images, list) or not all(type(image) is bytes for image in images):
        raise InputError(f"{path}: the images are not a list of bytes.")
    if not isinstance(same, list) or not all(type(truth) is bool for truth in same):
        raise InputError(f"{path}: the truth of the pairs is not a list of booleans.")
    if not same or len(images) != 2 * len(same):
        raise InputError(f"{path}: {len(images)} images do not make {len(same)} pairs of two.")
    return Benchmark(tuple(images), tuple(same))
