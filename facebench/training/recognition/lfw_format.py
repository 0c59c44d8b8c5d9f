"""Verification benchmarks as a folder of photographs and `pairs.txt`, in the format of LFW.

    person first second         genuine pair: numbers of two images of one person
    person number other number  impostor pair: one image of each of two people

Image 1 of a person is person/person_0001.jpg, or has another image suffix. The first line may hold counts.

Source: Huang et al. 2007 (LFW).
"""

from __future__ import annotations

from pathlib import Path

from facebench.core.errors import InputError
from facebench.images.listing import SUFFIXES

PAIRS = "pairs.txt"


def read_lfw(folder: Path) -> tuple[list[Path], list[bool]]:
    """Read the pairs of a folder.

    Returns:
        (2n,) image files, of which 2i and 2i + 1 are pair i, and (n,) True where both show one person.

    Raises:
        InputError: `pairs.txt` cannot be read, a line has another form, or an image is missing.
    """
    path = folder / PAIRS
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: cannot be read ({error}).") from None
    images: list[Path] = []
    same: list[bool] = []
    for number, line in enumerate(lines, start=1):
        words = line.split("\t") if "\t" in line else line.split()
        counts = number == 1 and all(word.strip().isdigit() for word in words)
        if not words or counts:
            continue
        if len(words) not in (3, 4):
            raise InputError(f"{path} line {number}: expected three or four words, found {len(words)}.")
        person, first, *rest = (word.strip() for word in words)
        second = (person, rest[0]) if len(rest) == 1 else (rest[0], rest[1])
        images += [_image_of(folder, person, first, number), _image_of(folder, *second, number)]
        same.append(len(rest) == 1)
    if not same:
        raise InputError(f"{path}: holds no pairs.")
    return images, same


def _image_of(folder: Path, person: str, number: str, line: int) -> Path:
    inside = "/" not in person and "\\" not in person and person not in (".", "..")
    if not inside or not number.isdigit():
        raise InputError(f"{folder / PAIRS} line {line}: '{person} {number}' names no image.")
    stem = f"{person}_{int(number):04d}"
    for suffix in sorted(SUFFIXES):
        path = folder / person / f"{stem}{suffix}"
        if path.is_file():
            return path
    raise InputError(f"{folder / PAIRS} line {line}: {folder} does not contain {person}/{stem}.")
