"""Unpickling of FLAME's model file into plain data, without running its code.

A pickle can call any function, and it can set the state of a `numpy.dtype` so that NumPy takes bytes of the file for
pointers to objects. This reader therefore hands the file no class of NumPy, SciPy or Chumpy:

- Names resolve through a fixed table of stand-ins. Any other name is refused.
- An array's type comes from a fixed list of numeric codes. The pickled state of the type is not applied.
- An array is built from its bytes only when it is read, after its rank and size have been checked.
- A pickle with too many instructions, or with a memo index beyond their number, is refused before it is executed.
"""

from __future__ import annotations

import io
import math
import pickle
import pickletools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facebench.core.errors import WeightsError

_NUMERIC_CODES = {
    code: np.dtype(f"<{code}") for code in ("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8")
}
_MOST_DIMENSIONS = 3
_MOST_NUMBERS = 5023 * 3 * 400
"""Numbers in the largest array of FLAME, its 400 shape and expression directions."""
_MOST_BYTES = 1 << 28
_MOST_INSTRUCTIONS = 100_000
_MEMO_WRITE = {"PUT", "BINPUT", "LONG_BINPUT"}
_UNREADABLE = (
    pickle.UnpicklingError,
    ArithmeticError,
    AttributeError,
    EOFError,
    LookupError,
    MemoryError,
    RecursionError,
    TypeError,
    ValueError,
)


class PlainObject:
    """Stand-in for an object of Chumpy or SciPy: it keeps the pickled state and does nothing."""

    state: Any = None

    def __setstate__(self, state: Any) -> None:
        self.state = state


class PickledArray:
    """Stand-in for a NumPy array: shape, type and bytes, checked and not yet converted."""

    def __init__(self) -> None:
        self._shape: tuple[int, ...] = (0,)
        self._dtype: np.dtype[Any] = _NUMERIC_CODES["u1"]
        self._raw: bytes | _Latin1 = b""
        self._fortran = False

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) != 5:
            raise pickle.UnpicklingError("it holds an array in an unknown format")
        _, shape, dtype, fortran, raw = state
        if not isinstance(dtype, _NumericType):
            raise pickle.UnpicklingError("it holds an array of a type that is not numeric")
        _check_shape(shape)
        raw = _Latin1(raw) if isinstance(raw, str) else raw
        if not isinstance(raw, (bytes, _Latin1)) or len(raw) != math.prod(shape) * dtype.dtype.itemsize:
            raise pickle.UnpicklingError("it holds an array whose bytes do not fit its shape")
        self._shape, self._dtype, self._raw, self._fortran = shape, dtype.dtype, raw, bool(fortran)

    def numbers(self) -> NDArray[Any]:
        """Convert to a read-only NumPy array.

        Raises:
            ValueError: the text that holds the bytes is not Latin-1.
        """
        raw = self._raw if isinstance(self._raw, bytes) else self._raw.encoded()
        return np.frombuffer(raw, self._dtype).reshape(self._shape, order="F" if self._fortran else "C")


class _Latin1:
    """Bytes that an old pickle holds as text; they are encoded on demand, so that references need no copies."""

    def __init__(self, text: str) -> None:
        self._text = text

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("it changes the bytes of an array")

    def __len__(self) -> int:
        return len(self._text)

    def encoded(self) -> bytes:
        return self._text.encode("latin1")


class _NumericType:
    """Stand-in for a NumPy dtype. Its pickled state is checked for byte order and otherwise ignored."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self.dtype = dtype

    def __setstate__(self, state: Any) -> None:
        if not isinstance(state, tuple) or len(state) < 2 or state[1] not in ("<", "|", "="):
            raise pickle.UnpicklingError("it holds an array that is not little-endian")


class _StandIn:
    """Stand-in for a function or a class that only serves as an argument; the pickle cannot change it."""

    def __init__(self, function: Callable[..., Any] | None = None) -> None:
        self._function = function

    def __setstate__(self, state: Any) -> None:
        raise pickle.UnpicklingError("it changes a function")

    def __call__(self, *arguments: Any) -> Any:
        if self._function is None:
            raise pickle.UnpicklingError("it calls a class that is not called in FLAME's file")
        return self._function(*arguments)


def _new_array(kind: Any, shape: Any, code: Any) -> PickledArray:
    if kind is not _NDARRAY:
        raise pickle.UnpicklingError("it holds an array of a class other than numpy.ndarray")
    return PickledArray()


def _new_type(code: Any, *_: Any) -> _NumericType:
    if not isinstance(code, str) or code not in _NUMERIC_CODES:
        raise pickle.UnpicklingError(f"it holds an array of type {str(code)[:20]!r}, which is not numeric")
    return _NumericType(_NUMERIC_CODES[code])


def _new_object(kind: Any, base: Any, state: Any) -> PlainObject:
    if kind is not PlainObject:
        raise pickle.UnpicklingError("it holds an object of a class other than Chumpy's and SciPy's")
    return PlainObject()


def _new_set(*_: Any) -> PlainObject:
    """Return a placeholder for the sets in which Chumpy keeps names of variables."""
    return PlainObject()


def _encode(text: Any, encoding: Any) -> _Latin1:
    if not isinstance(text, str) or encoding != "latin1":
        raise pickle.UnpicklingError("it holds bytes in an unknown encoding")
    return _Latin1(text)


_NDARRAY = _StandIn()
_RECONSTRUCT, _RECONSTRUCTOR, _SET, _OBJECT = (
    _StandIn(_new_array),
    _StandIn(_new_object),
    _StandIn(_new_set),
    _StandIn(),
)
_NAMES: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _NDARRAY,
    ("numpy", "dtype"): _StandIn(_new_type),
    ("numpy.core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): _RECONSTRUCT,
    ("chumpy.ch", "Ch"): PlainObject,
    ("copy_reg", "_reconstructor"): _RECONSTRUCTOR,
    ("copyreg", "_reconstructor"): _RECONSTRUCTOR,
    ("_codecs", "encode"): _StandIn(_encode),
    ("__builtin__", "object"): _OBJECT,
    ("builtins", "object"): _OBJECT,
    ("__builtin__", "set"): _SET,
    ("builtins", "set"): _SET,
}


class _RestrictedUnpickler(pickle.Unpickler):
    """Resolve names through the table of stand-ins and nothing else."""

    def find_class(self, module: str, name: str) -> Any:
        if module.startswith("scipy.sparse") and name == "csc_matrix":
            return PlainObject
        if (module, name) not in _NAMES:
            raise pickle.UnpicklingError(f"it would call {module}.{name} when loaded")
        return _NAMES[module, name]


def load_plain(path: Path) -> Any:
    """Unpickle a file into dicts, lists, strings, numbers, `PlainObject` and `PickledArray`.

    Raises:
        WeightsError: the file cannot be read, is damaged, is too large, or refers to other classes or functions.
    """
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise pickle.UnpicklingError(f"it is larger than {_MOST_BYTES >> 20} MiB")
        data = path.read_bytes()
        _check_instructions(data)
        return _RestrictedUnpickler(io.BytesIO(data), encoding="latin1").load()
    except (*_UNREADABLE, OSError) as error:
        raise WeightsError(
            f"{path} is refused: {error}. Give generic_model.pkl of FLAME 2020 as its authors publish it."
        ) from None


def _check_instructions(data: bytes) -> None:
    """Bound the number of objects and the size of the memo, which the unpickler allocates up to its largest index."""
    for count, (opcode, argument, _) in enumerate(pickletools.genops(data), start=1):
        if count > _MOST_INSTRUCTIONS:
            raise pickle.UnpicklingError(f"it has more than {_MOST_INSTRUCTIONS} instructions")
        if opcode.name in _MEMO_WRITE and isinstance(argument, int) and argument > _MOST_INSTRUCTIONS:
            raise pickle.UnpicklingError(f"it has a memo index of {argument}")


def _check_shape(shape: Any) -> None:
    valid = (
        isinstance(shape, tuple)
        and len(shape) <= _MOST_DIMENSIONS
        and all(type(side) is int and 0 <= side <= _MOST_NUMBERS for side in shape)
        and math.prod(shape) <= _MOST_NUMBERS
    )
    if not valid:
        raise pickle.UnpicklingError("it holds an array of a shape that FLAME does not have")
