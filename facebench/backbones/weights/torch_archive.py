"""Consistency of PyTorch's zip checkpoints: every stored tensor must be as long as the checkpoint declares.

Old versions of PyTorch trust the declared length and would read beyond the stored bytes.
"""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

from facebench.backbones.weights.reading import REMEDY, archive_members, check_pickle
from facebench.core.errors import WeightsError

_ITEM_SIZES = {
    "DoubleStorage": 8,
    "FloatStorage": 4,
    "HalfStorage": 2,
    "BFloat16Storage": 2,
    "LongStorage": 8,
    "IntStorage": 4,
    "ShortStorage": 2,
    "CharStorage": 1,
    "ByteStorage": 1,
    "BoolStorage": 1,
    "ComplexFloatStorage": 8,
    "ComplexDoubleStorage": 16,
    "UntypedStorage": 1,
}
"""Bytes per element of the storage types that a checkpoint names."""


def check_storages(path: Path) -> None:
    """Compare the declared length of every tensor storage with the length of its member in the archive.

    Files that are not zip checkpoints, and damaged ones, pass: `torch.load` reports them.

    Raises:
        WeightsError: a storage is longer than its member.
    """
    name = next((name for name in archive_members(path) if name.endswith("data.pkl")), None)
    if name is None:
        return
    try:
        with zipfile.ZipFile(path) as archive:
            objects = archive.read(name)
            check_pickle(objects)
            _StorageChecker(objects, archive, name.removesuffix("data.pkl")).load()
    except _TooLong as error:
        raise WeightsError(f"{path} is damaged: {error}. {REMEDY}") from None
    except Exception:
        return


class _TooLong(Exception):
    """A storage is longer than its member."""


class _Anything:
    """Stands for every class and function of the pickle, and ignores what the pickle does with it."""

    def __init__(self, *_: Any, **__: Any) -> None: ...

    def __setstate__(self, _: Any) -> None: ...

    def __setitem__(self, _: Any, __: Any) -> None: ...

    def append(self, _: Any) -> None:
        """Ignore an item."""

    def extend(self, _: Any) -> None:
        """Ignore items."""


class _StorageChecker(pickle.Unpickler):
    """Walks the objects of a checkpoint without importing or calling what they name."""

    def __init__(self, objects: bytes, archive: zipfile.ZipFile, root: str) -> None:
        super().__init__(io.BytesIO(objects))
        self._archive, self._root = archive, root

    def find_class(self, module: str, name: str) -> Any:
        if module in ("torch", "torch.storage") and name in _ITEM_SIZES:
            return _ITEM_SIZES[name]
        return dict if (module, name) == ("collections", "OrderedDict") else _Anything

    def persistent_load(self, pid: Any) -> Any:
        _, item_size, key, _, count = pid
        if isinstance(item_size, int):
            stored = self._archive.getinfo(f"{self._root}data/{key}").file_size
            if not 0 <= item_size * count <= stored:
                raise _TooLong(
                    f"tensor storage {key} has {stored:,} bytes, but {item_size * count:,} are declared"
                )
        return _Anything()
