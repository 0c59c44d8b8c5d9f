"""The tensors of a TorchScript archive, read without running the program in it.

OpenAI publishes CLIP as such an archive. `torch.jit.load` would compile and run what it holds. Here only
the list of objects (a pickle) is walked: a module of the program becomes a bare bag of its attributes,
tensors are laid over the stored bytes, lists and dicts are lists and dicts, and any other name is refused.
"""

from __future__ import annotations

import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from facebench.core.errors import WeightsError

_DTYPES = {
    "FloatStorage": torch.float32,
    "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16,
    "DoubleStorage": torch.float64,
    "LongStorage": torch.int64,
    "IntStorage": torch.int32,
    "ByteStorage": torch.uint8,
    "BoolStorage": torch.bool,
}
_LISTS = ("build_intlist", "build_doublelist", "build_boollist", "build_tensorlist")


def is_torchscript(path: Path) -> bool:
    """Whether the file is a TorchScript archive: a zip with a program's constants in it."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as archive:
        return any(name.endswith("/constants.pkl") for name in archive.namelist())


def tensors_of(path: Path) -> dict[str, Tensor]:
    """Read the parameters and buffers of the module in a TorchScript archive, by dotted name.

    Raises:
        WeightsError: the archive is damaged or asks for anything but tensors in modules.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            name = next(name for name in archive.namelist() if name.endswith("/data.pkl"))
            with archive.open(name) as stream:
                module = _TensorReader(stream, archive, name.removesuffix("data.pkl")).load()
        return _flatten(module, "")
    except (
        pickle.UnpicklingError,
        zipfile.BadZipFile,
        StopIteration,
        RecursionError,
        ArithmeticError,
        AttributeError,
        EOFError,
        LookupError,
        RuntimeError,
        TypeError,
        ValueError,
    ) as error:
        raise WeightsError(
            f"{path} cannot be read as a TorchScript archive of tensors ({error}). Fetch it again."
        ) from None


class _Module:
    """A module of the program: attributes, and nothing that can run."""


class _TensorReader(pickle.Unpickler):
    """Walks the list of objects; no name leads to code of the archive or to any other function."""

    def __init__(self, stream: Any, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(stream)
        self._archive = archive
        self._root = root

    def find_class(self, module: str, name: str) -> Any:
        if module.split(".")[0] == "__torch__":
            return _Module
        if module == "torch" and name in _DTYPES:
            return _DTYPES[name]
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _place_tensor
        if (module, name) == ("collections", "OrderedDict"):
            return dict
        if module == "torch.jit._pickle" and name in _LISTS:
            return list
        raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is refused")

    def persistent_load(self, pid: Any) -> Tensor:
        _, dtype, key, _, count = pid
        content = bytearray(self._archive.read(f"{self._root}data/{key}"))
        return torch.frombuffer(content, dtype=dtype, count=count) if count else torch.empty(0, dtype=dtype)


def _place_tensor(storage: Tensor, offset: int, size: list[int], stride: list[int], *_rest: Any) -> Tensor:
    return torch.as_strided(storage, size, stride, offset)


def _flatten(module: _Module, above: str) -> dict[str, Tensor]:
    tensors: dict[str, Tensor] = {}
    for name, value in vars(module).items():
        if isinstance(value, Tensor):
            tensors[above + name] = value
        elif isinstance(value, _Module):
            tensors.update(_flatten(value, f"{above}{name}."))
    return tensors
