"""An LMDB database of buffers as the public code of DiffusionRig-Emo writes it."""

from __future__ import annotations

import io
import pickle
from pathlib import Path

import lmdb
import numpy as np
import torch
from PIL import Image

BUFFERS = ("albedo", "normal", "rendered")


def write_database(
    folder: Path, faces: int = 3, size: int = 16, *, codes: bool = True, album: bool = False
) -> Path:
    """Write random faces; version 2 has the codes of shape and identity, an album has `mean_shape.pkl`."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    with lmdb.open(str(folder), map_size=2**24) as database, database.begin(write=True) as transaction:
        for index in range(faces):
            for name in BUFFERS:
                put(transaction, f"{name}_{index:06d}", torch.rand(3, size, size))
            stream = io.BytesIO()
            Image.fromarray(rng.integers(0, 256, (size, size, 3), dtype=np.uint8)).save(stream, "PNG")
            transaction.put(f"image_{index:06d}".encode(), stream.getvalue())
            if codes:
                put(transaction, f"shape_{index:06d}", torch.randn(100))
                put(transaction, f"identity_{index:06d}", torch.randn(150))
        transaction.put(b"length", str(faces).encode())
    if album:
        (folder / "mean_shape.pkl").write_bytes(pickle.dumps(torch.full((1, 100), 0.5)))
    return folder


def put(transaction: lmdb.Transaction, key: str, content: object) -> None:
    transaction.put(key.encode(), pickle.dumps(content))
