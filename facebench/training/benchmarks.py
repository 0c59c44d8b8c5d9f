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

from facebench.decoding import ImageError, decode
from facebench.errors import InputError
from facebench.faces import FaceFinder
from facebench.listing import SUFFIXES
from facebench.synthface import FaceModel
from facebench.training.bin_format import read_bin, write_bin
from facebench.training.data.people import CROP, aligned
from facebench.training.verification_protocol import FOLDS

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


def synthetic_pairs(
    pairs: int, seed: int, start: int, size: int = 128, progress: Progress | None = None
) -> Pairs:
    """Pairs of synthetic people; the ten folds share nobody, as in LFW.

    Args:
        pairs: how many, half of them genuine; a multiple of 20.
        seed: of the people.
        start: number of the first person; choose people that training does not see.
        size: pixels per side of the renderings, before alignment.
        progress: called with (images done, images in all).

    Raises:
        InputError: a number of pairs that does not fill ten folds by halves.
    """
    if pairs <= 0 or pairs % (2 * FOLDS):
        raise InputError(
            f"{pairs} pairs do not make {FOLDS} folds of two equal halves: use a multiple of 20."
        )
    people = pairs // 2
    crops = _rendered(people, seed, start, size, progress)
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


def write_synthetic_bin(
    path: Path, pairs: int, seed: int, start: int, size: int = 128, progress: Progress | None = None
) -> None:
    """Write `synthetic_pairs` as a `.bin` file that insightface's readers open too; see there."""
    made = synthetic_pairs(pairs, seed, start, size, progress)
    write_bin(path, [_png(crop) for crop in made.crops], made.same.tolist())


def _rendered(people: int, seed: int, start: int, size: int, progress: Progress | None) -> Crops:
    if size == CROP:
        raise InputError(f"size={CROP}: images of {CROP} pixels count as aligned; render at 128.")
    model, finder = FaceModel(), FaceFinder()
    crops = np.empty((people * IMAGES, CROP, CROP, 3), np.uint8)
    for index in range(len(crops)):
        parameters = model.sample(1, seed, images=IMAGES, start=start * IMAGES + index)
        crop = aligned(model.render(parameters, size)[0], finder)
        if crop is None:
            raise InputError(f"No face was found in a rendering of {size} pixels; use a larger size.")
        crops[index] = crop
        if progress is not None:
            progress(index + 1, len(crops))
    return crops


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
