"""Layouts of public data sets: their images and labels.

Nothing is downloaded, because each data set has terms of use that a person must accept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from facebench.core.errors import InputError
from facebench.images.affectnet import affectnet
from facebench.images.image_set import ImageSet
from facebench.images.listing import SUFFIXES, Item

TUFTS = {1: "neutral", 2: "happy", 3: "eyes_closed", 4: "shocked", 5: "sunglasses"}
"""Contents of the five images of a participant in TD_RGB_E."""


def ffhq(root: Path) -> ImageSet:
    """FFHQ: the folder images1024x1024 or thumbnails128x128, with or without sub-folders of a thousand images.

    Source: Karras et al. 2019 and the layout of the published data set.
    """
    for name in ("images1024x1024", "thumbnails128x128", "images256x256", "."):
        paths = [path for path in _images_below(root / name) if re.fullmatch(r"\d{5}", path.stem)]
        if paths:
            return _image_set(root, ((path, {}) for path in paths))
    raise InputError(
        f"{root}: is not FFHQ. Expected images named 00000.png to 69999.png in images1024x1024/ or thumbnails128x128/."
    )


def celebahq(root: Path) -> ImageSet:
    """CelebA-HQ: numbered images in CelebA-HQ-img/ and the attribute file of CelebAMask-HQ.

    The columns are the 40 attributes, "1" or "-1".

    Source: Karras et al. 2018; attributes after Lee et al. 2020 (CelebAMask-HQ).
    """
    folder = root / "CelebA-HQ-img"
    if not folder.is_dir():
        raise InputError(
            f"{root}: is not CelebA-HQ. Expected the folder CelebA-HQ-img/ with 0.jpg, 1.jpg ..."
        )
    attributes = root / "CelebAMask-HQ-attribute-anno.txt"
    if not attributes.is_file():
        raise InputError(f"{root}: lacks the attribute file {attributes.name} of CelebAMask-HQ.")
    labels = _attribute_rows(attributes)
    paths = [path for path in _images_below(folder) if path.stem.isdigit()]
    return _image_set(root, ((path, labels.get(path.name, {})) for path in paths))


def tufts(root: Path) -> ImageSet:
    """Tufts Face Database, part TD_RGB_E: one folder per participant with five images.

    Columns: identity, expression (see `TUFTS`).

    Source: Panetta et al. 2018, "A comprehensive database for benchmarking imaging systems".
    """
    rows = []
    for path in _images_below(root):
        number = re.fullmatch(r"TD_RGB_E_(\d)", path.stem)
        if number and int(number[1]) in TUFTS:
            rows.append((path, {"identity": path.parent.name, "expression": TUFTS[int(number[1])]}))
    if not rows:
        raise InputError(
            f"{root}: holds no images of the Tufts Face Database. Expected participants' folders with "
            "TD_RGB_E_1.jpg to TD_RGB_E_5.jpg, as in TD_RGB_E_Set1."
        )
    return _image_set(root, rows)


DATASETS: Mapping[str, Callable[[Path], ImageSet]] = {
    "ffhq": ffhq,
    "celebahq": celebahq,
    "affectnet": affectnet,
    "tufts": tufts,
}


def _image_set(root: Path, rows: Iterable[tuple[Path, Mapping[str, str]]]) -> ImageSet:
    items = [Item(path, path.relative_to(root).as_posix(), dict(columns)) for path, columns in rows]
    if not items:
        raise InputError(f"{root}: no image with a usable label.")
    return ImageSet(root, "manifest", tuple(sorted(items, key=lambda item: item.name)))


def _images_below(folder: Path) -> list[Path]:
    return (
        sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)
        if folder.is_dir()
        else []
    )


def _attribute_rows(path: Path) -> dict[str, dict[str, str]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    if len(lines) < 3:
        raise InputError(
            f"{path}: is incomplete; expected the number of images in line 1 and the attribute names in line 2."
        )
    names = lines[1].split()
    rows = {}
    for number, line in enumerate(lines[2:], start=3):
        image, *values = line.split()
        if len(values) != len(names):
            raise InputError(f"{path}, line {number}: {len(values)} values for {len(names)} attributes.")
        rows[image] = dict(zip(names, values, strict=True))
    return rows
