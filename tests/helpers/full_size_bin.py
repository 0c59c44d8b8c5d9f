"""Verification benchmarks of full size in insightface's layout: JPEG crops, and folds of 300 or 350 pairs of a kind."""

from __future__ import annotations

import io
import struct
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np

from facebench.synthface import FaceModel
from facebench.training.data.people import CROP

FOLDS = 10
PAIRS = {"lfw": 6000, "agedb_30": 6000, "calfw": 6000, "cfp_fp": 7000, "cplfw": 6000}
"""Number of pairs of the distributed files."""


def crops(people: int = 60, images: int = 4) -> np.ndarray:
    """Rendered faces (people, images, 112, 112, 3) uint8 RGB."""
    model = FaceModel()
    faces = model.render(model.sample(people * images, seed=3, images=images), CROP)
    return faces.reshape(people, images, CROP, CROP, 3)


def write(path: Path, faces: np.ndarray, pairs: int) -> None:
    """Write a benchmark; every image has its own noise, so that no two files are equal.

    Folds hold as many genuine as impostor pairs, genuine ones first, and share no person.
    """
    rng = np.random.default_rng(pairs)
    data: list[bytes] = []
    same: list[bool] = []
    for people in np.array_split(np.arange(len(faces)), FOLDS):
        for is_same in (True, False):
            for _ in range(pairs // FOLDS // 2):
                a, b = rng.choice(people, 2, replace=False)
                first, second = rng.choice(faces.shape[1], 2, replace=False)
                data += [_jpeg(faces[a, first], rng), _jpeg(faces[a if is_same else b, second], rng)]
                same.append(is_same)
    path.write_bytes(python2_pickle(data, same))


def python2_pickle(images: Sequence[bytes], same: Sequence[bool]) -> bytes:
    """Pickle of protocol 2 as Python 2 writes it: images are strings, and the memo holds every object."""
    out = io.BytesIO()
    memo = 0

    def store() -> None:
        nonlocal memo
        out.write(b"q" + bytes([memo]) if memo < 256 else b"r" + struct.pack("<I", memo))
        memo += 1

    out.write(b"\x80\x02]")
    store()
    out.write(b"(")
    for image in images:
        out.write(b"T" + struct.pack("<i", len(image)) + image)
        store()
    out.write(b"e]")
    store()
    out.write(b"(" + b"".join(b"\x88" if label else b"\x89" for label in same) + b"e\x86")
    store()
    return out.getvalue() + b"."


def _jpeg(face: np.ndarray, rng: np.random.Generator) -> bytes:
    noisy = np.clip(face.astype(np.int16) + rng.integers(-6, 7, (CROP, CROP, 1)), 0, 255).astype(np.uint8)
    return bytes(cv2.imencode(".jpg", noisy[:, :, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 95])[1])
