"""Reader of checkpoints: safetensors files and PyTorch files. Code in a file is refused and never runs."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facebench.backbones.weights.contents import refuse_other_files
from facebench.backbones.weights.reading import REMEDY, archive_members, reading, refuse_inflating_archive
from facebench.backbones.weights.torch_archive import check_storages
from facebench.core.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor

_GLOBAL = re.compile(r"GLOBAL (\S+)")
_SAFETENSORS_HEADER = 100_000_000
"""Largest header that the safetensors format permits, in bytes."""
_DEEPEST, _MOST_DICTS = 100, 100_000
"""Limits of nested checkpoints: depth, and number of dicts."""


def load_checkpoint(path: Path, placeholders: Sequence[str] = ()) -> Any:
    """Read a checkpoint on the CPU.

    Args:
        path: a safetensors file, or a PyTorch file without code.
        placeholders: prefixes of class names that are read as empty objects. Other classes and functions are
            refused.

    Returns:
        The content: a dict of tensors, or whatever containers the file holds.

    Raises:
        WeightsError: the file is truncated, of another format, or contains code.
    """
    refuse_other_files(path)
    if path.suffix == ".safetensors" or _has_safetensors_header(path):
        return _load_safetensors(path)
    import torch

    refuse_inflating_archive(path)
    check_storages(path)
    stand_ins: list[Any] = [
        (_placeholder(), name) for name in _named_globals(path) if name.startswith(tuple(placeholders))
    ]
    try:
        with torch.serialization.safe_globals(stand_ins):
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file raises exceptions of any type
        raise WeightsError(_explain(path, str(error))) from error


def _named_globals(path: Path) -> list[str]:
    """Return the classes and functions that a zip checkpoint names, except tensors and containers."""
    import torch

    if not archive_members(path):
        return []
    try:
        return torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except Exception:
        return []  # torch.load fails for the same reason and reports it.


def _placeholder() -> type:
    """Create a class whose instances ignore the state that a pickle gives them."""

    class Placeholder:
        def __new__(cls, *_: Any, **__: Any) -> Placeholder:
            return object.__new__(cls)

        def __init__(self, *_: Any, **__: Any) -> None: ...

        def __setstate__(self, _: Any) -> None: ...

    return Placeholder


def _explain(path: Path, error: str) -> str:
    if code := _GLOBAL.search(error):
        return (
            f"{path} contains code: loading it would call {code[1]}. Such files are refused. "
            "Ask the author for a plain state dict or a safetensors file."
        )
    if "TorchScript" in error:
        return f"{path} is a TorchScript program, not a state dict. Give the state dict of the same network."
    size = path.stat().st_size
    return f"{path} ({size:,} bytes) is truncated, damaged or not a PyTorch checkpoint. {REMEDY}"


def _has_safetensors_header(path: Path) -> bool:
    with reading(path, "a checkpoint"), path.open("rb") as stream:
        start = stream.read(9)
    return start[8:] == b"{" and int.from_bytes(start[:8], "little") <= _SAFETENSORS_HEADER


def _load_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors.torch import load_file

    with reading(path, "a safetensors file"):
        return load_file(path)


def select_state(content: Any, what: str, *, prefix: str = "", entry: str | None = None) -> dict[str, Tensor]:
    """Return the state dict in a checkpoint.

    Args:
        content: content of the file.
        what: name of the file in error messages.
        prefix: removed from the names. When any name has the prefix, only names with the prefix are kept.
        entry: key of the state dict in the checkpoint; a bare state dict is accepted as well.

    Raises:
        WeightsError: the file holds no state dict of tensors.
    """
    from torch import Tensor

    if entry is not None and isinstance(content, Mapping) and isinstance(content.get(entry), Mapping):
        content = content[entry]
    if not isinstance(content, Mapping):
        raise WeightsError(f"{what} holds a {type(content).__name__}, not a state dict (names and tensors).")
    for key in content:
        if not isinstance(key, str):
            raise WeightsError(f"{what}: the name {key!r:.80} is a {type(key).__name__}, not a text.")
    if prefix and any(key.startswith(prefix) for key in content):
        content = {k[len(prefix) :]: v for k, v in content.items() if k.startswith(prefix)}
    for key, value in content.items():
        if not isinstance(value, Tensor):
            raise WeightsError(f"{what}: '{key}' is a {type(value).__name__}, not a tensor.")
        if not _is_plain(value):
            raise WeightsError(f"{what}: '{key}' is a sparse, quantised or empty tensor, not a plain one.")
    return dict(content)


def _is_plain(tensor: Tensor) -> bool:
    """Return whether a tensor is dense and holds values on the CPU or another device."""
    import torch

    return tensor.layout == torch.strided and not (tensor.is_quantized or tensor.is_meta or tensor.is_nested)


def tensors_in(content: Mapping[str, Any]) -> dict[str, Tensor]:
    """Return all tensors of a nested checkpoint by dotted name.

    Args:
        content: the checkpoint, dicts in dicts.

    Raises:
        WeightsError: the content is not a dict, or contains itself.
    """
    from torch import Tensor

    if not isinstance(content, Mapping):
        raise WeightsError(f"The checkpoint holds a {type(content).__name__}, not names and tensors.")
    tensors: dict[str, Tensor] = {}
    pending: list[tuple[str, Mapping[str, Any], int]] = [("", content, 0)]
    visited = 0
    while pending:
        above, part, depth = pending.pop()
        visited += 1
        if depth > _DEEPEST or visited > _MOST_DICTS:
            raise WeightsError(
                f"The checkpoint's entry '{above[:80]}' is nested too deeply or contains itself."
            )
        for key, value in part.items():
            if isinstance(value, Tensor):
                tensors[f"{above}{key}"] = value
            elif isinstance(value, Mapping):
                pending.append((f"{above}{key}.", value, depth + 1))
    return tensors
