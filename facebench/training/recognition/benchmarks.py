"""Verification benchmarks as pairs of aligned faces: `.bin` files, photographs with pairs.txt, synthetic people."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from facebench.backbones.face_detection import FaceFinder
from facebench.core.errors import InputError
from facebench.images.decoding import ImageError, decode
from facebench.images.listing import SUFFIXES
from facebench.training.data.people import CROP, aligned, open_people
from facebench.training.data.sources import SynthfaceData
from facebench.training.recognition.bin_format import read_bin, write_bin
from facebench.training.recognition.verification_protocol import FOLDS

PAIRS = "pairs.txt"
IMAGES = 4
"""Images that a synthetic person gives: two for a genuine pair, two for impostor pairs."""
MOST_LEFT_OUT = 0.02

Progress = Callable[[int, int], None]
Crops = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Pairs:
    """A benchmark, ready to be embedded.

    Attributes:
        name: such as "lfw".
        crops: (2n, 112, 112, 3) uint8 RGB aligned faces; 2i and 2i + 1 are pair i.
        same: (n,) whether both show one person.
        digest: sha256 of the crops and the truth.
        left_out: pairs that have an unusable image, and why.
    """

    name: str
    crops: Crops
    same: npt.NDArray[np.bool_]
    digest: str
    left_out: tuple[str, ...] = ()


def open_benchmark(path: Path) -> Pairs:
    """Read a benchmark.

    Args:
        path: an insightface `.bin` file; or a folder that holds photographs and `pairs.txt`, in LFW's format: lines
            `person first second` (one person, numbers of two images) and `person number other number`, with the
            images at person/person_0001.jpg. Images of 112 x 112 count as aligned, in others the face is found.

    Raises:
        InputError: no such benchmark, a damaged or hostile file, or too many unusable images.
    """
    if path.is_dir():
        images, same = _listed(path)
        return _decoded(path.name, images, same)
    benchmark = read_bin(path)
    numbered = enumerate(benchmark.images)
    return _decoded(path.stem, ((f"image {n}", data) for n, data in numbered), list(benchmark.same))


def find_benchmark(folder: Path, name: str) -> Path:
    """`folder`/name.bin, or `folder`/name with pairs.txt inside.

    Raises:
        InputError: neither is there; says what is.
    """
    for path in (folder / f"{name}.bin", folder / name):
        if path.is_file() or (path / PAIRS).is_file():
            return path
    there = sorted(
        {p.stem for p in folder.glob("*.bin")} | {p.parent.name for p in folder.glob(f"*/{PAIRS}")}
    )
    raise InputError(
        f"There is no benchmark '{name}' in {folder}: neither {name}.bin nor {name}/{PAIRS}. "
        f"There are: {', '.join(there) or 'none'}."
    )


def synthetic_pairs(data: SynthfaceData, progress: Progress | None = None) -> Pairs:
    """Pairs of synthetic people; the ten folds share nobody, as in LFW.

    Every person gives a genuine pair, and an impostor pair with the next one of the fold.

    Args:
        data: the people, with four images each: as many as there are genuine pairs.
        progress: called with (images done, images in all).

    Raises:
        InputError: too few people for ten folds, or images without a face.
    """
    people = data.identities
    if people < 2 * FOLDS or data.images != IMAGES:
        raise InputError(
            f"{people} people with {data.images} images do not make {FOLDS} folds of pairs: at least {2 * FOLDS} "
            f"people with {IMAGES} images each are needed."
        )
    faces = open_people(data)
    crops = np.empty((len(faces), CROP, CROP, 3), np.uint8)
    for index in range(len(faces)):
        try:
            crops[index] = faces.read(index).image
        except ImageError as error:
            raise InputError(f"{error}. Render larger images.") from None
        if progress is not None:
            progress(index + 1, len(faces))
    chosen, same = [], []
    for fold in np.array_split(np.arange(people), FOLDS):
        for person in fold:
            chosen += [(person, 0), (person, 1)]
            same.append(True)
        for person, other in zip(fold, np.roll(fold, -1), strict=True):
            chosen += [(person, 2), (other, 3)]
            same.append(False)
    rows = np.array([person * IMAGES + image for person, image in chosen])
    return _made("synthface", crops[rows], same, ())


def write_pairs(path: Path, pairs: Pairs) -> None:
    """Write a `.bin` file that insightface's readers open too; the file appears whole or not at all.

    Raises:
        InputError: it cannot be written.
    """
    try:
        write_bin(path, [_png(crop) for crop in pairs.crops], pairs.same.tolist())
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}).") from None


def _decoded(name: str, images: Iterator[tuple[str, bytes | Path]], same: list[bool]) -> Pairs:
    finder = FaceFinder()
    crops = np.zeros((2 * len(same), CROP, CROP, 3), np.uint8)
    trouble: dict[int, str] = {}
    for index, (image, given) in enumerate(images):
        try:
            data = given if isinstance(given, bytes) else given.read_bytes()
            crop = aligned(decode(data, image), finder)
        except (ImageError, OSError) as error:
            trouble.setdefault(index // 2, str(error))
            continue
        if crop is None:
            trouble.setdefault(index // 2, f"{image}: no_face (no face was found)")
        else:
            crops[index] = crop
    if len(trouble) > MOST_LEFT_OUT * len(same):
        first = next(iter(trouble.values()))
        raise InputError(
            f"{name}: {len(trouble)} of {len(same)} pairs have an unusable image; the first: {first}."
        )
    kept = np.array([pair not in trouble for pair in range(len(same))])
    left_out = tuple(f"pair {pair}: {why}" for pair, why in trouble.items())
    return _made(name, crops[np.repeat(kept, 2)], np.array(same)[kept].tolist(), left_out)


def _made(name: str, crops: Crops, same: list[bool], left_out: tuple[str, ...]) -> Pairs:
    truth = np.array(same, dtype=bool)
    digest = hashlib.sha256(truth.tobytes())
    digest.update(crops.tobytes())
    return Pairs(name, crops, truth, digest.hexdigest(), left_out)


def _listed(folder: Path) -> tuple[Iterator[tuple[str, Path]], list[bool]]:
    """Images in the order of pairs.txt, two for each pair, and the truth."""
    try:
        lines = (folder / PAIRS).read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{folder / PAIRS}: cannot be read ({error}).") from None
    images: list[Path] = []
    same: list[bool] = []
    for number, line in enumerate(lines, start=1):
        words = line.split("\t") if "\t" in line else line.split()
        if not words or (number == 1 and all(word.strip().isdigit() for word in words)):
            continue  # the first line of LFW's file says how many folds and pairs there are
        if len(words) not in (3, 4):
            raise InputError(
                f"{folder / PAIRS} line {number}: expected three or four words, found {len(words)}."
            )
        person, first, *other = (word.strip() for word in words)
        second = (person, other[0]) if len(other) == 1 else (other[0], other[1])
        images += [_photograph(folder, person, first, number), _photograph(folder, *second, number)]
        same.append(len(other) == 1)
    if not same:
        raise InputError(f"{folder / PAIRS}: holds no pairs.")
    return ((path.relative_to(folder).as_posix(), path) for path in images), same


def _photograph(folder: Path, person: str, number: str, line: int) -> Path:
    plain = "/" not in person and "\\" not in person and person not in (".", "..")
    if not plain or not number.isdigit():
        raise InputError(f"{folder / PAIRS} line {line}: '{person} {number}' names no image.")
    stem = f"{person}_{int(number):04d}"
    for suffix in sorted(SUFFIXES):
        path = folder / person / f"{stem}{suffix}"
        if path.is_file():
            return path
    raise InputError(f"{folder / PAIRS} line {line}: there is no {person}/{stem} in {folder}.")


def _png(crop: Crops) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(crop).save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()
