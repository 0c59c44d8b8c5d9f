"""Folders of transferred faces as a lab leaves them: the cell, the person and the target are in the path."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path

from tests.helpers.image_files import encode, picture

PATTERN = (
    "target_{target_person}_{target}/{person}/train{stage}_resnet{resnet}_target{target_extractor}"
    "_source{source_extractor}/{image}"
)
SOURCE = "albums/{person}_aligned/{image}"
TARGET = "targets/{target_person}_aligned/{target_person}{target}.png"
PEOPLE = ("ann", "bob")
TARGETS = ("01", "02", "03")
EXTRACTORS = ("DECA", "EMOCA")


def write_lab_folders(
    root: Path, trees: Sequence[str] = ("output_dir_affectnet", "output_dir_ffhq"), photographs: int = 2
) -> int:
    """Write albums, targets and one tree of transfers per training set; return the transfers per tree."""
    png = encode(picture(), "PNG")
    names = [f"{number}.png" for number in range(photographs)]
    _write([root / f"albums/{person}_aligned/{name}" for person in PEOPLE for name in names], png)
    _write([root / f"targets/obama_aligned/obama{target}.png" for target in TARGETS], png)
    cells = list(itertools.product(EXTRACTORS, (18, 50), EXTRACTORS, EXTRACTORS))
    for tree, target, person in itertools.product(trees, TARGETS, PEOPLE):
        folder = root / tree / f"target_obama_{target}" / person
        for stage, resnet, to, of in cells:
            cell = folder / f"train{stage}_resnet{resnet}_target{to}_source{of}"
            _write([cell / name for name in names], png)
    return len(TARGETS) * len(PEOPLE) * len(cells) * photographs


def _write(paths: Sequence[Path], content: bytes) -> None:
    for path in paths:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
