"""People of the study: one folder of photographs each."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facebench.core.errors import InputError
from facebench.core.files import safe_file_name
from facebench.images.image_set import ImageSet

GENDERS = ("male", "female")
"""Words of the column `gender` that enter the complex prompts."""


@dataclass(frozen=True)
class Person:
    """A person.

    Attributes:
        name: name of the person.
        folder: folder of the photographs.
        images: number of photographs.
        gender: "male", "female", or None where unknown.
    """

    name: str
    folder: Path
    images: int
    gender: str | None


def read_people(root: Path) -> list[Person]:
    """Read the people of a folder, in natural order of their names, as the released script sorts them.

    Args:
        root: one sub-folder for each person, or a manifest with the column `identity`, and `gender` if known.

    Raises:
        InputError: the folder holds no people, or the photographs of two people are in one folder.
    """
    images = ImageSet.open(root)
    names, genders = images.column("identity"), images.column("gender")
    folders: dict[str, set[Path]] = defaultdict(set)
    counts: dict[str, int] = defaultdict(int)
    gender: dict[str, str | None] = {}
    for item, name, word in zip(images.items, names, genders, strict=True):
        if name:
            folders[name].add(item.path.parent)
            counts[name] += 1
            gender[name] = word if word in GENDERS else None
    if not folders:
        raise InputError(f"{root} has no people. Put the photographs of each person into a sub-folder.")
    _check_names(folders, root)
    owners: dict[Path, str] = {}
    for name, places in folders.items():
        for place in places:
            if len(places) > 1 or owners.setdefault(place, name) != name:
                raise InputError(
                    f"{root}: the photographs of '{name}' do not have a folder of their own. Training reads one folder "
                    "for each person."
                )
    return [
        Person(name, next(iter(folders[name])).absolute(), counts[name], gender[name])
        for name in sorted(folders, key=_natural)
    ]


def _check_names(names: Iterable[str], root: Path) -> None:
    """Check that each name can be that of a folder."""
    for name in names:
        if safe_file_name(name) != name:
            raise InputError(f"{root}: the identity '{name}' cannot be the name of a folder. Rename it.")


def notes_on(people: Sequence[Person]) -> list[str]:
    """Return notes about people with one photograph or an unknown gender."""
    notes = []
    single = [person.name for person in people if person.images == 1]
    if single:
        notes.append(
            f"One photograph: {', '.join(single)}. They have no genuine pairs of real images, and adapters that are "
            "trained on one image tend to copy it."
        )
    unknown = sum(person.gender is None for person in people)
    if unknown:
        notes.append(
            f"Gender of {unknown} of {len(people)} people unknown: their complex prompts leave it out. The released "
            "list is not public; add the column `gender` (male, female) to a manifest."
        )
    return notes


def people_with_one_face(root: Path) -> list[str]:
    """Return a note for every pair of people whose photographs show the same face.

    Two people are reported when their images are, on average, as similar to each other as the images of the less
    similar one of them are among themselves. SFace measures the similarity.
    """
    from facebench import backbones
    from facebench.features.extraction import extract
    from facebench.features.store.sqlite import Store

    network = backbones.build("sface")
    images = ImageSet.open(root)
    extraction = extract(images, [network], store=Store())
    rows: dict[str, list[int]] = defaultdict(list)
    for index, (item, valid) in enumerate(zip(extraction.items, extraction.valid[network.name], strict=True)):
        name = item.columns.get("identity")
        if name and valid:
            rows[name].append(index)
    features = next(iter(extraction.arrays[network.name].values()))
    unit = {name: _unit(features[index]) for name, index in rows.items()}
    return [
        f"'{a}' and '{b}' show the same face (mean cosine {value:.2f}). Their verification pairs are not impostors. "
        "Merge them, or remove one."
        for a, b, value in _alike(unit)
    ]


def _alike(unit: dict[str, np.ndarray]) -> list[tuple[str, str, float]]:
    own = {name: _mean_within(rows) for name, rows in unit.items()}
    known = [value for value in own.values() if value is not None]
    fallback = float(np.median(known)) if known else 1.0
    names = sorted(unit)
    found = []
    for number, a in enumerate(names):
        for b in names[number + 1 :]:
            value = float((unit[a] @ unit[b].T).mean())
            limits = [fallback if own[name] is None else own[name] for name in (a, b)]
            if value >= min(limit for limit in limits if limit is not None) - 1e-6:
                found.append((a, b, value))
    return found


def _mean_within(rows: np.ndarray) -> float | None:
    """Mean cosine of the pairs of one person; None with one image."""
    count = len(rows)
    if count < 2:
        return None
    cosines = rows @ rows.T
    return float((cosines.sum() - np.trace(cosines)) / (count * (count - 1)))


def _unit(rows: np.ndarray) -> np.ndarray:
    rows = rows.astype(np.float64)
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def _natural(name: str) -> list[tuple[int, int, str]]:
    """Sort key in which ID_2 precedes ID_10."""
    parts = re.split(r"(\d+)", name)
    return [(0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts]
