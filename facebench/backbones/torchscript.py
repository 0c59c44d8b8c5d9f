"""Reader of the tensors in a TorchScript archive. The program in the archive never runs.

OpenAI publishes CLIP as a TorchScript archive, which `torch.jit.load` would compile and run. This reader unpickles
only the object list: modules become plain attribute containers, tensors are views of the stored bytes, and every
other name is refused.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from facebench.backbones.weights.reading import (
    archive_members,
    check_pickle,
    reading,
    refuse_inflating_archive,
)

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
    """Return whether a file is a TorchScript archive, which is a zip archive with `constants.pkl`."""
    return any(name.endswith("/constants.pkl") for name in archive_members(path))


def tensors_of(path: Path) -> dict[str, Tensor]:
    """Read the parameters and buffers of the module in a TorchScript archive, by dotted name.

    Raises:
        WeightsError: the archive is damaged, or contains other objects than tensors in modules.
    """
    refuse_inflating_archive(path)
    with reading(path, "a TorchScript archive of tensors"), zipfile.ZipFile(path) as archive:
        name = next((name for name in archive.namelist() if name.endswith("/data.pkl")), None)
        if name is None:
            raise ValueError("it has no data.pkl")
        objects = archive.read(name)
        check_pickle(objects)
        return _flatten(_TensorReader(objects, archive, name.removesuffix("data.pkl")).load())


class _Module:
    """Attributes of a module of the program."""


class _TensorReader(pickle.Unpickler):
    """Unpickler of the object list; it resolves the names of tensors, modules and containers only."""

    def __init__(self, objects: bytes, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(io.BytesIO(objects))
        self._archive = archive
        self._root = root
        self._storages: dict[str, bytearray] = {}

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
        raise pickle.UnpicklingError(f"it names {module}.{name}, which is refused")

    def persistent_load(self, pid: Any) -> Tensor:
        _, dtype, key, _, count = pid
        if key not in self._storages:
            self._storages[key] = bytearray(self._archive.read(f"{self._root}data/{key}"))
        content = self._storages[key]
        return torch.frombuffer(content, dtype=dtype, count=count) if count else torch.empty(0, dtype=dtype)


def _place_tensor(storage: Tensor, offset: int, size: list[int], stride: list[int], *_rest: Any) -> Tensor:
    return torch.as_strided(storage, size, stride, offset)


def _flatten(module: Any) -> dict[str, Tensor]:
    """Return the tensors of a module and its submodules by dotted name."""
    tensors: dict[str, Tensor] = {}
    pending = [("", module)]
    visited: set[int] = set()
    while pending:
        above, part = pending.pop()
        if not isinstance(part, _Module) or id(part) in visited:
            raise ValueError("its object list is not a tree of modules")
        visited.add(id(part))
        for name, value in vars(part).items():
            if isinstance(value, Tensor):
                tensors[f"{above}{name}"] = value
            elif isinstance(value, _Module):
                pending.append((f"{above}{name}.", value))
    return tensors
