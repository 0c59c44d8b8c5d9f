"""Unpickling of single PyTorch tensors, without running code of the file.

A pickled tensor calls two functions of PyTorch: one reads a storage from bytes, one makes a tensor of it. This reader
resolves both names to functions of its own; any other name is refused. The bytes of the storage are read by
`torch.load(weights_only=True)`.
"""

from __future__ import annotations

import io
import math
import pickle
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from facebench.core.errors import InputError

MAX_BYTES = 1 << 28
_UNREADABLE = (pickle.UnpicklingError, ArithmeticError, AttributeError, EOFError, LookupError, MemoryError,
               RecursionError, RuntimeError, TypeError, ValueError, OSError)  # fmt: skip


def read_tensor(data: bytes, where: str) -> Tensor:
    """Read a pickled tensor.

    Args:
        data: the pickle.
        where: file and key, for messages.

    Returns:
        The tensor on the CPU, with its dtype.

    Raises:
        InputError: the pickle is damaged, too large, or holds something else than one dense tensor.

    Example:
        >>> read_tensor(pickle.dumps(torch.tensor([1.0, 2.0])), "mean_shape.pkl")
        tensor([1., 2.])
    """
    if len(data) > MAX_BYTES:
        raise InputError(f"{where} holds {len(data):,} bytes, too many for one tensor.")
    try:
        content = _TensorUnpickler(io.BytesIO(data)).load()
    except _UNREADABLE as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise InputError(
            f"{where} is not a pickled tensor ({reason}). Only tensors are read; store other content as one."
        ) from None
    if not isinstance(content, Tensor):
        raise InputError(f"{where} holds a {type(content).__name__}, not a tensor.")
    return content


class _TensorUnpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        known: dict[tuple[str, str], Callable[..., Any]] = {
            ("torch._utils", "_rebuild_tensor_v2"): _rebuilt,
            ("torch.storage", "_load_from_bytes"): _storage,
            ("collections", "OrderedDict"): OrderedDict,
        }
        if (module, name) not in known:
            raise pickle.UnpicklingError(f"it would call {module}.{name}")
        return known[module, name]

    def persistent_load(self, _: Any) -> Any:
        raise pickle.UnpicklingError("it refers to another file")


def _storage(data: Any) -> Tensor:
    """Read the numbers of a storage as a flat tensor."""
    if not isinstance(data, bytes):
        raise pickle.UnpicklingError("it holds a storage that is not bytes")
    storage = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    if not isinstance(storage, torch.storage.TypedStorage):
        raise pickle.UnpicklingError("it holds a storage of another kind")
    return torch.tensor([], dtype=storage.dtype).set_(storage)


def _rebuilt(flat: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Tensor:
    """Make a tensor whose elements all lie within its storage."""
    numbers = (offset, *size, *stride)
    if not isinstance(flat, Tensor) or not all(isinstance(n, int) and n >= 0 for n in numbers):
        raise pickle.UnpicklingError("it holds a tensor in an unknown format")
    last = offset + sum((n - 1) * step for n, step in zip(size, stride, strict=True))
    if math.prod(size) == 0 or math.prod(size) > len(flat) or last >= len(flat):
        raise pickle.UnpicklingError("it holds a tensor that does not fit its storage")
    return flat.as_strided(size, stride, offset).clone()
