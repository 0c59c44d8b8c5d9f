"""Inspection of files without a published fingerprint, before they are pinned."""

from __future__ import annotations

import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from facebench.backbones.weights import registry
from facebench.backbones.weights.contents import not_weights
from facebench.backbones.weights.digest import sha256_of
from facebench.backbones.weights.reading import check_pickle, reading
from facebench.backbones.weights.registry import Entry
from facebench.core.errors import FacebenchError

if TYPE_CHECKING:
    from facebench.backbones.weights.source import WeightsSource


def unusable(entry: Entry, path: Path) -> str | None:
    """Try to load a file as the weights of an entry.

    The backbone is built, which compares every parameter name and shape. A file without a backbone, or one that
    needs further files, is only read in its format.

    Args:
        entry: registry entry of the file.
        path: the file.

    Returns:
        The reason why the file cannot be the weights, as a sentence; None when it can.
    """
    if kind := not_weights(path):
        return f"{kind}."
    try:
        if not _builds_backbone(entry, path):
            _read(entry, path)
    except FacebenchError as error:
        return str(error)
    return None


def _read(entry: Entry, path: Path) -> None:
    """Read a file in the format of its entry."""
    if entry.format == "torch":
        from facebench.backbones.weights.load import load_checkpoint, tensors_in

        tensors_in(load_checkpoint(path, entry.placeholders))
    elif entry.format == "torchscript":
        from facebench.backbones.torchscript import tensors_of

        tensors_of(path)
    elif entry.format == "onnx":
        from facebench.backbones.onnx_network import open_session

        open_session(path)
    elif zipfile.is_zipfile(path):
        with reading(path, "an npz file of arrays"), zipfile.ZipFile(path) as archive:
            if not all(name.endswith(".npy") for name in archive.namelist()):
                raise ValueError("it contains other files than arrays")
    else:
        with reading(path, "a pickle of arrays"):
            check_pickle(path.read_bytes())


def _builds_backbone(entry: Entry, path: Path) -> bool:
    """Build the first backbone of an entry; False when there is none or another of its files is missing."""
    from facebench import backbones

    known = backbones.names()
    backbone = next((name for name in entry.backbones if name in known), None)
    source = None if backbone is None else _source(backbone, entry, path)
    if source is None:
        return False
    backbones.build_from(source)
    return True


def _source(backbone: str, entry: Entry, path: Path) -> WeightsSource | None:
    """Return the files of a backbone with `path` in the place of an entry; None when another file is missing."""
    from facebench.backbones.weights.cache import WeightFile, path_of
    from facebench.backbones.weights.source import WeightsSource

    files = []
    for part in registry.needed_by(backbone):
        file = path if part.name == entry.name else path_of(part)
        if not file.is_file():
            return None
        files.append(WeightFile(part.name, file, sha256_of(file), part.licence, False))
    return WeightsSource(backbone, tuple(files))
