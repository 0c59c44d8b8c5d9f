"""Run folders like those of `facebench evaluate`, created quickly: tables, curves and small images."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from facebench.evaluation.curves import score_curve
from facebench.evaluation.record import RejectedFile, Run
from facebench.metrics import det_curve, verification
from tests.helpers.records import make_input, make_run

HOSTILE = "<img src=x onerror=alert(1)>.png"


def write_images(folder: Path, n: int, seed: int) -> list[str]:
    """Write small images; the name of one of them is a script if it is not escaped."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    names = [HOSTILE, *(f"face {place:03d}.png" for place in range(1, n))]
    for name in names:
        colour = rng.integers(40, 220, 3)
        Image.fromarray(np.full((48, 40, 3), colour, dtype=np.uint8)).save(folder / name)
    return names


def per_image(folder: Path, names: list[str], seed: int, role: str = "generated") -> pd.DataFrame:
    """A per-image table; the image with the hostile name is the best one."""
    rng = np.random.default_rng(seed)
    quality = np.sort(rng.uniform(0.3, 0.9, len(names)))[::-1].astype(np.float32)
    digests = [hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names]
    return pd.DataFrame(
        {
            "role": role,
            "image": names,
            "sha256": digests,
            "face_score": rng.uniform(0.8, 0.95, len(names)),
            "quality:sface-quality": quality,
            "map_x": rng.normal(0, 1, len(names)).astype(np.float32),
            "map_y": rng.normal(0, 1, len(names)).astype(np.float32),
        }
    )


def make_report_run(folder: Path, name: str, *, seed: int = 0, n: int = 40, shift: float = 0.0) -> Run:
    """A run with images on disk, a per-image table, score curves, a map and a rejected file."""
    names = write_images(folder / name.replace("/", "_") / "images", n, seed)
    images = folder / name.replace("/", "_") / "images"
    run = make_run(
        name, images=n, fd_lite0=20.0 + 40 * shift, recall_lite0=0.5, vendi_lite0=None, face_found=1.0
    )
    run.inputs["generated"] = make_input(name, n).model_copy(
        update={
            "path": str(images),
            "faces": n,
            "rejected": [
                RejectedFile(name="broken<script>.png", reason="not_an_image", detail="text, not pixels"),
                RejectedFile(name=names[1], reason="no_face", scope="faces"),
            ],
        }
    )
    rng = np.random.default_rng(seed)
    genuine, impostor = rng.normal(0.7 - shift, 0.1, 300).clip(-1, 1), rng.normal(0.2, 0.1, 3000).clip(-1, 1)
    curve = score_curve(det_curve(genuine, impostor), verification(genuine, impostor), "sface", "generated")
    curves = {
        "scores": [curve],
        "frechet": [{"metric": "fd_lite0", "sizes": [5, 10, 20, 40], "distances": [40.0, 30.0, 25.0, 20.0]}],
        "map": {"backbone": "lite0", "fitted_on": "generated", "explained": [0.3, 0.1]},
    }
    return run.with_per_image(per_image(images, names, seed)).with_curves(curves)
