"""Layouts of public data sets: their images and labels.

Nothing is downloaded, because each data set has terms of use that a person must accept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path

from facebench.core.errors import InputError
from facebench.images.affectnet import affectnet
from facebench.images.image_set import ImageSet
from facebench.images.listing import SUFFIXES, Item

TUFTS = {1: "neutral", 2: "happy", 3: "eyes_closed", 4: "shocked", 5: "sunglasses"}
"""Contents of the five images of a participant in TD_RGB_E."""
POSE_NUMBERS = ("first_number", "second_number")
"""Columns of the two numbers of TD_RGB_A_<first>_<second>.jpg."""
ID_BOOTH_POSES = range(1, 8)
"""Poses of ID-Booth's real images, by the name of their folder: "poses_1-7_all_imgs"."""
ID_BOOTH_IMAGES, ID_BOOTH_PEOPLE = 2213, 107
"""Real images of ID-Booth's paper, and people; the number of people follows from counts in the released notebooks."""


def ffhq(root: Path) -> ImageSet:
    """FFHQ: the first of images1024x1024, thumbnails128x128, images256x256 and in-the-wild-images that holds images.

    Sub-folders of a thousand images are read as well.

    Source: Karras et al. 2019 and the layout of the published data set.
    """
    for name in ("images1024x1024", "thumbnails128x128", "images256x256", "in-the-wild-images", "."):
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
        number = re.fullmatch(r"TD_RGB_E_(\d)", path.stem, re.IGNORECASE)
        if number and int(number[1]) in TUFTS:
            rows.append((path, {"identity": path.parent.name, "expression": TUFTS[int(number[1])]}))
    if not rows:
        raise InputError(
            f"{root}: holds no images of the Tufts Face Database. Expected participants' folders with "
            "TD_RGB_E_1.jpg to TD_RGB_E_5.jpg, as in TD_RGB_E_Set1 to TD_RGB_E_Set4."
        )
    return _image_set(root, rows)


def tufts_id_booth(root: Path) -> ImageSet:
    """Tufts Face Database, part TD_RGB_A: a selection close to the real images of ID-Booth.

    Columns: identity, first_number and second_number of TD_RGB_A_<first>_<second>.jpg.

    The authors' selection is not published. Their folder is called "poses_1-7_all_imgs", and which of the two numbers
    is the pose is not documented. The number for which 1 to 7 selects nearer to 2,213 / 107 images of a person is
    taken as the pose. A warning of the set states both counts.

    Source: Panetta et al. 2018; Tomašević et al. 2025 and names in its released scripts.
    """
    rows = []
    for path in _images_below(root):
        numbers = re.fullmatch(r"TD_RGB_A_(\d+)_(\d+)", path.stem, re.IGNORECASE)
        if numbers:
            poses = {name: str(int(text)) for name, text in zip(POSE_NUMBERS, numbers.groups(), strict=True)}
            rows.append((path, {"identity": path.parent.name, **poses}))
    if not rows:
        raise InputError(
            f"{root}: holds no images of TD_RGB_A of the Tufts Face Database. Expected participants' folders with "
            "TD_RGB_A_1_1.jpg and so on, as in TD_RGB_A_Set1 to TD_RGB_A_Set4. TD_RGB_E alone lacks the poses."
        )
    selections = {name: [row for row in rows if int(row[1][name]) in ID_BOOTH_POSES] for name in POSE_NUMBERS}
    people = len({columns["identity"] for _, columns in rows})
    wanted = ID_BOOTH_IMAGES / ID_BOOTH_PEOPLE * people
    chosen = min(selections, key=lambda name: abs(len(selections[name]) - wanted))
    counts = ", ".join(f"{len(selection)} by {name}" for name, selection in selections.items())
    warning = (
        f"{len(selections[chosen])} of {len(rows)} images of {people} people: those with {chosen} 1 to 7 ({counts}). "
        f"The paper has {ID_BOOTH_IMAGES} images of about {ID_BOOTH_PEOPLE} people; its selection is not published."
    )
    return replace(_image_set(root, selections[chosen]), warnings=(warning,))


DATASETS: Mapping[str, Callable[[Path], ImageSet]] = {
    "ffhq": ffhq,
    "celebahq": celebahq,
    "affectnet": affectnet,
    "tufts": tufts,
    "tufts-id-booth": tufts_id_booth,
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
