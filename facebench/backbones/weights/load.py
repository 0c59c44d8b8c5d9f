"""Reading checkpoints without ever running code from them."""

from __future__ import annotations

import pickle
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facebench.backbones.weights.cache import refuse_other_files
from facebench.core.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor

_UNREADABLE = (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError, OSError)
_GLOBAL = re.compile(r"GLOBAL (\S+)")


def load_checkpoint(path: Path, placeholders: Sequence[str] = ()) -> Any:
    """Read a checkpoint: safetensors, or a PyTorch file without code in it.

    Args:
        path: the file.
        placeholders: beginnings of class names that are read as empty objects; any other class or function
            that the file names is refused.

    Raises:
        WeightsError: the file is cut off, no checkpoint, or holds code; names the file and the code.
    """
    refuse_other_files(path)
    if path.suffix == ".safetensors":
        return _load_safetensors(path)
    import torch

    stand_ins: list[Any] = [
        (_placeholder(), name) for name in _named(path) if name.startswith(tuple(placeholders))
    ]
    try:
        with torch.serialization.safe_globals(stand_ins):
            return torch.load(path, map_location="cpu", weights_only=True)
    except _UNREADABLE as error:
        raise WeightsError(_explain(path, str(error))) from None


def _named(path: Path) -> list[str]:
    """Classes and functions that a zip checkpoint names beyond tensors and containers."""
    import torch

    if not zipfile.is_zipfile(path):
        return []
    try:
        return torch.serialization.get_unsafe_globals_in_checkpoint(path)
    except _UNREADABLE:
        return []  # Loading fails in the same way, with the reason.


def _placeholder() -> type:
    """A class whose objects hold nothing and do nothing, whatever a pickle gives them."""

    class Placeholder:
        def __new__(cls, *_: Any, **__: Any) -> Placeholder:
            return object.__new__(cls)

        def __init__(self, *_: Any, **__: Any) -> None: ...

        def __setstate__(self, _: Any) -> None: ...

    return Placeholder


def _explain(path: Path, error: str) -> str:
    if code := _GLOBAL.search(error):
        return (
            f"{path} holds code: it would call {code[1]} when loaded. Such files are refused. "
            "Ask its author for a plain state dict or a safetensors file."
        )
    if "TorchScript" in error:
        return f"{path} is a TorchScript program, not a state dict. Give the state dict of the same network."
    size = path.stat().st_size
    return (
        f"{path} ({size:,} bytes) is cut off, damaged or no PyTorch checkpoint. "
        "Compare its size with that at its home and fetch it again."
    )


def _load_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise WeightsError(f"{path} is not a whole safetensors file ({error}). Fetch it again.") from None


def select_state(content: Any, what: str, *, prefix: str = "", entry: str | None = None) -> dict[str, Tensor]:
    """Take the state dict out of a checkpoint.

    Args:
        content: what the file held.
        what: names the file in errors.
        prefix: dropped from the names. When any name starts with it, only those names are kept.
        entry: key of the state dict when the checkpoint wraps it; a bare state dict passes as well.

    Raises:
        WeightsError: there is no state dict of tensors; names the first key that is something else.
    """
    from torch import Tensor

    if entry is not None and isinstance(content, Mapping) and isinstance(content.get(entry), Mapping):
        content = content[entry]
    if not isinstance(content, Mapping):
        raise WeightsError(f"{what} holds a {type(content).__name__}, not a state dict (names and tensors).")
    if prefix and any(str(key).startswith(prefix) for key in content):
        content = {k[len(prefix) :]: v for k, v in content.items() if str(k).startswith(prefix)}
    for key, value in content.items():
        if not isinstance(value, Tensor):
            raise WeightsError(f"{what}: '{key}' is a {type(value).__name__}, not a tensor.")
    return dict(content)


def tensors_in(content: Mapping[str, Any], above: str = "") -> dict[str, Tensor]:
    """All tensors of a nested checkpoint, by dotted name."""
    from torch import Tensor

    found: dict[str, Tensor] = {}
    for key, value in content.items():
        if isinstance(value, Tensor):
            found[f"{above}{key}"] = value
        elif isinstance(value, Mapping):
            found.update(tensors_in(value, f"{above}{key}."))
    return found
