"""Reading checkpoints without ever running code from them."""

from __future__ import annotations

import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from facebench.errors import WeightsError

if TYPE_CHECKING:
    from torch import Tensor

_DAMAGED = (pickle.UnpicklingError, RuntimeError, EOFError, zipfile.BadZipFile, ValueError, KeyError)


def load_checkpoint(path: Path) -> Any:
    """Read a checkpoint: safetensors, or a PyTorch file without code.

    Raises:
        WeightsError: the file is cut off, not a checkpoint, or holds code; names the file and what to do.
    """
    if path.suffix == ".safetensors":
        return _load_safetensors(path)
    import torch

    try:
        return torch.load(path, map_location="cpu", weights_only=True)
    except (
        pickle.UnpicklingError,
        RuntimeError,
        EOFError,
        zipfile.BadZipFile,
        ValueError,
        KeyError,
    ) as error:
        raise WeightsError(f"{path} cannot be read as a PyTorch checkpoint: {error}") from None


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
            raise WeightsError(
                f"{what}: '{key}' is a {type(value).__name__}, not a tensor: not a bare state dict."
            )
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
