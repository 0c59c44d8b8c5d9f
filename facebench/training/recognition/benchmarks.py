"""Verification benchmarks as pairs of aligned faces: `.bin` files, LFW folders, synthetic people."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from facebench.backbones.face_detection import FaceFinder
from facebench.core.errors import InputError
from facebench.core.progress import Progress, no_progress
from facebench.core.suggest import suggest
from facebench.images.decoding import ImageError, decode
from facebench.training.data.people import CROP, aligned, open_people
from facebench.training.data.sources import SynthfaceData
from facebench.training.recognition.bin_format import read_bin, write_bin
from facebench.training.recognition.lfw_format import PAIRS, read_lfw
from facebench.training.recognition.verification_protocol import FOLDS

IMAGES = 4
"""Images per synthetic person: two for the genuine pair, two for impostor pairs."""
MOST_LEFT_OUT = 0.02
"""Largest share of pairs with an unusable image."""

Crops = npt.NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Pairs:
    """Benchmark with aligned faces.

    Attributes:
        name: name of the benchmark, such as "lfw".
        crops: (2n, 112, 112, 3) uint8 RGB aligned faces; 2i and 2i + 1 are pair i.
        same: (n,) True where both images show one person.
        digest: sha256 of the crops and the labels.
        left_out: one message per pair with an unusable image.
    """

    name: str
    crops: Crops
    same: npt.NDArray[np.bool_]
    digest: str
    left_out: tuple[str, ...] = ()


def open_benchmark(path: Path) -> Pairs:
    """Read a benchmark and align its faces.

    Args:
        path: insightface `.bin` file, or a folder with photographs and `pairs.txt` (see `lfw_format`). Images of
            112 x 112 pixels are taken as aligned; in all others the face is detected.

    Raises:
        InputError: the benchmark is unknown, the file is damaged or unsafe, or too many images are unusable.
    """
    if path.is_dir():
        files, labels = read_lfw(path)
        return _align(path.name, ((file.relative_to(path).as_posix(), file) for file in files), labels)
    benchmark = read_bin(path)
    images = ((f"image {number}", data) for number, data in enumerate(benchmark.images))
    return _align(path.stem, images, list(benchmark.same))


def find_benchmark(folder: Path, name: str) -> Path:
    """Return `folder`/name.bin, or `folder`/name when it holds pairs.txt.

    Raises:
        InputError: there is neither; the message lists the benchmarks of the folder.
    """
    for path in (folder / f"{name}.bin", folder / name):
        if path.is_file() or (path / PAIRS).is_file():
            return path
    known = {p.stem for p in folder.glob("*.bin")} | {p.parent.name for p in folder.glob(f"*/{PAIRS}")}
    raise InputError(
        f"The folder {folder} does not contain the benchmark '{name}': neither {name}.bin nor {name}/{PAIRS}. "
        f"{suggest(name, known) if known else 'The folder holds no benchmark.'}"
    )


def synthetic_pairs(data: SynthfaceData, progress: Progress = no_progress) -> Pairs:
    """Build a benchmark of synthetic people in ten folds that share no person, as in LFW.

    Every person contributes a genuine pair, and an impostor pair with the next person of the fold.

    Args:
        data: people with four images each.
        progress: callback invoked after each image, in the stage `rendering`.

    Raises:
        InputError: there are too few people for ten folds, or an image has no detectable face.
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
        progress("rendering", index + 1, len(faces))
    rows, same = _synthetic_rows(people)
    return _with_digest("synthface", crops[rows], same, ())


def write_pairs(path: Path, pairs: Pairs) -> None:
    """Write a `.bin` file that insightface's readers accept too; an existing file is replaced atomically.

    Raises:
        InputError: the file cannot be written.
    """
    try:
        write_bin(path, [_png(crop) for crop in pairs.crops], pairs.same.tolist())
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}).") from None


def _synthetic_rows(people: int) -> tuple[npt.NDArray[np.int64], list[bool]]:
    """Rows of the images of all pairs, in the order of the benchmark, and the labels of the pairs."""
    images: list[tuple[int, int]] = []
    same: list[bool] = []
    for fold in np.array_split(np.arange(people), FOLDS):
        for person in fold:
            images += [(person, 0), (person, 1)]
            same.append(True)
        for person, next_person in zip(fold, np.roll(fold, -1), strict=True):
            images += [(person, 2), (next_person, 3)]
            same.append(False)
    return np.array([person * IMAGES + image for person, image in images]), same


def _align(name: str, images: Iterable[tuple[str, bytes | Path]], same: list[bool]) -> Pairs:
    """Decode and align the images of a benchmark, and drop the pairs with an unusable image."""
    finder = FaceFinder()
    crops = np.zeros((2 * len(same), CROP, CROP, 3), np.uint8)
    unusable: dict[int, str] = {}
    for index, (image, source) in enumerate(images):
        try:
            data = source if isinstance(source, bytes) else source.read_bytes()
            crop = aligned(decode(data, image), finder)
        except (ImageError, OSError) as error:
            unusable.setdefault(index // 2, str(error))
            continue
        if crop is None:
            unusable.setdefault(index // 2, f"{image}: no_face (no face was found)")
        else:
            crops[index] = crop
    if len(unusable) > MOST_LEFT_OUT * len(same):
        first = next(iter(unusable.values()))
        raise InputError(
            f"{name}: {len(unusable)} of {len(same)} pairs have an unusable image; the first: {first}."
        )
    kept = np.array([pair not in unusable for pair in range(len(same))])
    left_out = tuple(f"pair {pair}: {reason}" for pair, reason in unusable.items())
    return _with_digest(name, crops[np.repeat(kept, 2)], np.array(same)[kept].tolist(), left_out)


def _with_digest(name: str, crops: Crops, same: list[bool], left_out: tuple[str, ...]) -> Pairs:
    labels = np.array(same, dtype=bool)
    digest = hashlib.sha256(labels.tobytes())
    digest.update(crops.tobytes())
    return Pairs(name, crops, labels, digest.hexdigest(), left_out)


def _png(crop: Crops) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(crop).save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()
