"""Layouts of public data sets: their images and labels.

Nothing is downloaded, because each data set has terms of use that a person must accept.
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import numpy as np

from facebench.core.errors import InputError
from facebench.images.image_set import ImageSet
from facebench.images.listing import SUFFIXES, Item

AFFECTNET = ("neutral", "happy", "sad", "surprised", "afraid", "disgusted", "angry", "contempt")
"""AffectNet's classes 0 to 7; the classes 8 (none), 9 (uncertain) and 10 (no face) are not used."""
UNLABELLED = -2.0
"""AffectNet's valence and arousal of images without annotation."""
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


def affectnet(root: Path, split: str = "train") -> ImageSet:
    """AffectNet, either as annotation folders (train_set/, val_set/) or as CSV (training.csv, validation.csv).

    Columns: expression (see `AFFECTNET`), valence, arousal. Images of other classes are not used.

    Source: Mollahosseini et al. 2017 and the two published layouts.
    """
    folder = root / f"{split}_set"
    if (folder / "annotations").is_dir():
        return _image_set(root, _affectnet_folders(folder))
    table = root / {"train": "training.csv", "val": "validation.csv"}.get(split, f"{split}.csv")
    if table.is_file():
        return _image_set(root, _affectnet_table(root, table))
    raise InputError(
        f"{root}: is not AffectNet's {split} set. Expected {folder.name}/images and {folder.name}/annotations, or "
        f"{table.name} beside Manually_Annotated_Images/."
    )


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


def _affectnet_folders(folder: Path) -> Iterable[tuple[Path, Mapping[str, str]]]:
    missing: Counter[str] = Counter()
    for path in _images_below(folder / "images"):
        values = {}
        for name in ("exp", "val", "aro"):
            file = folder / "annotations" / f"{path.stem}_{name}.npy"
            if file.is_file():
                values[name] = str(np.load(file, allow_pickle=False))
            else:
                missing[name] += 1
        if len(values) == 3:
            yield from _labelled(path, values["exp"], values["val"], values["aro"])
    if missing:
        name, count = missing.most_common(1)[0]
        raise InputError(
            f"{folder}: {count} images have no annotations/*_{name}.npy. Is the data set unpacked completely?"
        )


def _affectnet_table(root: Path, table: Path) -> Iterable[tuple[Path, Mapping[str, str]]]:
    with table.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    wanted = {"subDirectory_filePath", "expression", "valence", "arousal"}
    if not rows or not wanted <= rows[0].keys():
        raise InputError(f"{table}: needs the columns {', '.join(sorted(wanted))}.")
    for row in rows:
        path = root / "Manually_Annotated_Images" / row["subDirectory_filePath"]
        yield from _labelled(path, row["expression"], row["valence"], row["arousal"])


def _labelled(
    path: Path, expression: str, valence: str, arousal: str
) -> Iterable[tuple[Path, Mapping[str, str]]]:
    number = int(float(expression))
    if not 0 <= number < len(AFFECTNET):
        return
    columns = {"expression": AFFECTNET[number]}
    if float(valence) > UNLABELLED and float(arousal) > UNLABELLED:
        columns |= {"valence": valence, "arousal": arousal}
    yield path, columns
