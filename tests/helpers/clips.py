"""Clips of rendered faces with their manifest, and extractions of frames."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np

from facebench import synthface
from facebench.backbones.face_alignment import Face
from facebench.features.extraction import Extraction
from facebench.images.image_set import Item


def make_clips(folder: Path, clips: int, frames: int) -> Path:
    """Write clips of one person each, whose generated frames are copies of the target frames."""
    synthface.write(folder / "real", identities=clips, images=frames, size=128, seed=3)
    rows = []
    for clip in range(clips):
        for frame in range(frames):
            target = f"real/images/id{clip:03d}/{frame:02d}.png"
            image = f"generated/c{clip}-{frame:02d}.png"
            (folder / image).parent.mkdir(exist_ok=True)
            (folder / image).write_bytes((folder / target).read_bytes())
            source = f"real/images/id{clip:03d}/00.png"
            rows.append(
                {"image": image, "source": source, "target": target, "clip": f"c{clip}", "frame": frame}
            )
    with (folder / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
    return folder


def extraction(
    columns: list[dict[str, str]],
    angles: np.ndarray | None = None,
    boxes: np.ndarray | None = None,
    missing: int | None = None,
) -> Extraction:
    """Features of frames with these columns: head poses and face boxes, or no face at all."""
    n = len(columns)
    items = tuple(Item(Path(), f"{i}.png", each) for i, each in enumerate(columns))
    faces: list[Face | None] = [None] * n
    arrays: dict[str, dict[str, np.ndarray]] = {}
    valid = np.ones(n, dtype=np.bool_)
    if angles is not None and boxes is not None:
        faces = [
            None if i == missing else Face(boxes[i], np.zeros((5, 2), np.float32), 1.0) for i in range(n)
        ]
        arrays = {"headpose": dict(zip(("pitch", "yaw", "roll"), angles.T, strict=True))}
        valid[missing] = missing is None
    return Extraction(
        items=items, rejected=(), sha256=[""] * n, sizes=np.ones((n, 2), np.int64), faces=faces, arrays=arrays,
        valid={"headpose": valid}, backbones={}, timings={}, digest="",
    )  # fmt: skip
