"""Properties of image sets that distort a comparison: framing, resolution, sharpness, JPEG quality, colour."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
import numpy.typing as npt

from facebench.backbones.face_alignment import Face, align
from facebench.backbones.face_detector import FaceDetector
from facebench.core.errors import InputError
from facebench.core.progress import Progress
from facebench.features.engine.cache import Cache, address_of
from facebench.features.extraction import Extraction
from facebench.features.shares import Answer, Networks, map_items
from facebench.features.store.serialisation import Arrays
from facebench.features.store.sqlite import Network, Store
from facebench.images.decoding import ImageError, decode, open_header
from facebench.images.formats import format_of
from facebench.images.image_set import Image, Item, read

SAMPLED = 48
"""Images that are examined of each set, evenly spaced."""
FRAMING_RATIO, RESOLUTION_RATIO, SHARPNESS_RATIO = 1.25, 1.5, 3.0
"""Ratios of the medians of two sets from which they differ."""
JPEG_DIFFERENCE = 15
"""Difference of the median JPEG qualities from which two sets differ; files of other formats count as 100."""
GREY_DIFFERENCE = 0.2
"""Difference of the shares of grey images from which two sets differ."""
FFHQ_FRAMING = 0.75
"""Height of the face box over the height of an image that is aligned as FFHQ is."""
_SMALLEST_SIDE = 16
_GREY_LEVELS = 3
_SMALLEST = 4


@dataclass(frozen=True)
class SetProperties:
    """Medians over the examined images of a set.

    Attributes:
        framing: height of the face box over the height of the image; None without a detected face.
        resolution: shorter side in pixels.
        sharpness: variance of the Laplacian of the aligned grey face, 112 x 112; None without a detected face.
        jpeg_quality: quality of the JPEG tables, 100 for other formats.
        grey: share of images without colour.
        n: number of examined images.
    """

    framing: float | None
    resolution: float
    sharpness: float | None
    jpeg_quality: float
    grey: float
    n: int


def properties_of(extraction: Extraction, finder: FaceDetector, store: Store | None = None) -> SetProperties:
    """Measure the properties of a set on up to `SAMPLED` images.

    Args:
        extraction: the images; resolution is measured on all.
        finder: detects the faces of the examined images if the extraction did not.
        store: properties of known images are read from it, and new ones are written to it.
    """
    count = len(extraction.items)
    places = np.unique(np.linspace(0, count - 1, min(SAMPLED, count)).round().astype(int)).tolist()
    known = _known_or_measured(extraction, places, finder, Cache(store))
    framed = [each.framing for each in known if each.framing is not None]
    sharp = [each.sharpness for each in known if each.sharpness is not None]
    return SetProperties(
        framing=float(np.median(framed)) if framed else None,
        resolution=float(np.median(extraction.sizes.min(axis=1))),
        sharpness=float(np.median(sharp)) if sharp else None,
        jpeg_quality=float(np.median([each.jpeg_quality for each in known])) if known else 100.0,
        grey=float(np.mean([each.grey for each in known])) if known else 0.0,
        n=len(known),
    )


def sanity_warnings(sets: Mapping[str, SetProperties], paths: Mapping[str, str]) -> list[str]:
    """Compare every reference set with the generated images; one sentence per difference, with its remedy.

    Args:
        sets: properties by role.
        paths: folder or manifest of each role, for the commands.
    """
    generated = sets["generated"]
    texts = []
    for role, reference in sets.items():
        if role.partition(":")[0] == "reference" and min(generated.n, reference.n) >= _SMALLEST:
            texts += _differences(generated, reference, role, paths)
    return texts


def refuse_if_strict(warnings: list[str]) -> None:
    """Raise an error that lists the warnings.

    Raises:
        InputError: there is a warning.
    """
    if warnings:
        raise InputError(f"--strict: the image sets differ. {' '.join(f'{text}.' for text in warnings)}")


def jpeg_quality(data: bytes) -> int:
    """Return the quality, 1 to 100, whose standard luminance table is nearest to that of a JPEG file.

    Files of other formats have 100. The scale is that of libjpeg (IJG).
    """
    try:
        tables = getattr(open_header(data), "quantization", None) if format_of(data) == "JPEG" else None
    except ImageError:
        return 100
    if not tables:
        return 100
    mean = float(np.mean(tables[min(tables)]))
    means = [
        np.clip(np.floor((_STANDARD_LUMINANCE * _scale(q) + 50) / 100), 1, 255).mean() for q in range(1, 101)
    ]
    return 1 + int(np.argmin(np.abs(np.array(means) - mean)))


_STANDARD_LUMINANCE = np.array(
    [16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29,
     51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121,
     120, 101, 72, 92, 95, 98, 112, 100, 103, 99]
)  # fmt: skip
"""Luminance table of quality 50 (ITU-T T.81, table K.1)."""


def _scale(quality: int) -> float:
    return 5000 / quality if quality < 50 else 200 - 2 * quality


@dataclass(frozen=True)
class _ImageProperties:
    framing: float | None
    sharpness: float | None
    jpeg_quality: int
    grey: bool

    def to_arrays(self) -> Arrays:
        """Convert to one array; NaN stands for None."""
        numbers = [self.framing, self.sharpness, self.jpeg_quality, self.grey]
        return {"properties": np.array([np.nan if each is None else each for each in numbers], np.float64)}

    @classmethod
    def from_arrays(cls, arrays: Arrays) -> _ImageProperties:
        """Invert `to_arrays`."""
        framing, sharpness, quality, grey = (float(each) for each in arrays["properties"])
        return cls(
            None if math.isnan(framing) else framing,
            None if math.isnan(sharpness) else sharpness,
            int(quality),
            bool(grey),
        )


def _known_or_measured(
    extraction: Extraction, places: Sequence[int], finder: FaceDetector, cache: Cache
) -> list[_ImageProperties]:
    """Return the properties of some images, from the store where it has them; unreadable files are left out."""
    network = Network("image-properties-v1", finder.weights.sha256, finder.preprocessing)
    address = {place: address_of(extraction.sha256[place]) for place in places}
    stored = cache.get(network, list(address.values()))
    new = [place for place in places if address[place] not in stored]
    faces = {extraction.items[place].name: extraction.faces[place] for place in new}
    task = _MeasureImages(faces if extraction.finder is not None else None, finder.name)
    results = map_items(task, [extraction.items[place] for place in new], Networks(finder=finder))
    measured = {place: each for place, each in zip(new, results, strict=True) if each is not None}
    for place, each in measured.items():
        cache.put(network, address[place], each.to_arrays())
    cache.flush()
    return [
        measured[place] if place in measured else _ImageProperties.from_arrays(stored[address[place]])
        for place in places
        if place in measured or address[place] in stored
    ]


@dataclass(frozen=True)
class _MeasureImages:
    """Measurement of the properties of images, in the process that holds them."""

    faces: Mapping[str, Face | None] | None
    """Detected faces by name of the image; None if they are not known."""
    finder: str

    def run(self, items: Sequence[Item], networks: Networks, progress: Progress) -> Answer:
        """Return the properties of every image; None for a file that cannot be read."""
        finder = networks.detector(self.finder)
        return Answer([self._measure(item, finder) for item in items])

    def _measure(self, item: Item, finder: FaceDetector) -> _ImageProperties | None:
        find = finder.find if self.faces is None else None
        return _measure(item, find, None if self.faces is None else self.faces[item.name])


def _measure(
    item: Item, find: Callable[[Image], Face | None] | None, face: Face | None
) -> _ImageProperties | None:
    """Return the properties of one image; None if the file cannot be read.

    Args:
        item: the image.
        find: detects the face if it is not known.
        face: the known face.
    """
    try:
        data = read(item)
        image = decode(data, item.name)
    except ImageError:
        return None
    face = face if find is None else find(image)
    spread = image.max(axis=2).astype(int) - image.min(axis=2)
    return _ImageProperties(
        framing=None if face is None else face.box[3] / image.shape[0],
        sharpness=None if face is None else _sharpness(align(image, face.landmarks)),
        jpeg_quality=jpeg_quality(data),
        grey=bool(spread.mean() < _GREY_LEVELS),
    )


def _sharpness(crop: npt.NDArray[np.uint8]) -> float:
    grey = cv2.cvtColor(crop, cv2.COLOR_RGB2GRAY)
    return float(cv2.Laplacian(grey, cv2.CV_64F).var())


def _differences(
    generated: SetProperties, reference: SetProperties, role: str, paths: Mapping[str, str]
) -> list[str]:
    def align_both(options: str = "") -> str:
        return ", ".join(f"facebench align {paths[each]} NEW{options}" for each in ("generated", role))

    size = _common_size(generated, reference)
    texts = []
    if _apart(generated.framing, reference.framing, FRAMING_RATIO):
        texts.append(
            f"framing differs: the face takes {generated.framing:.0%} of the height of generated images and "
            f"{reference.framing:.0%} of {role} images; crop both alike: {align_both()}"
        )
    if _apart(generated.resolution, reference.resolution, RESOLUTION_RATIO):
        texts.append(
            f"resolution differs: {generated.resolution:.0f} pixels in generated images and "
            f"{reference.resolution:.0f} in {role} images (median of the shorter side); bring both to one size: "
            f"{align_both(f' --size {size}')}"
        )
    if _apart(generated.sharpness, reference.sharpness, SHARPNESS_RATIO):
        texts.append(
            f"sharpness differs: variance of the Laplacian {generated.sharpness:.0f} in generated faces and "
            f"{reference.sharpness:.0f} in {role} faces (112 pixels); bring both to the pixels of the smaller faces: "
            f"{align_both(f' --size {size}')}; blur that remains cannot be repaired"
        )
    if abs(generated.jpeg_quality - reference.jpeg_quality) >= JPEG_DIFFERENCE:
        quality = min(generated.jpeg_quality, reference.jpeg_quality)
        texts.append(
            f"compression differs: JPEG quality {generated.jpeg_quality:.0f} in generated files and "
            f"{reference.jpeg_quality:.0f} in {role} files (100: no JPEG); nothing removes compression, so compress "
            f"both alike: {align_both(f' --size {size} --jpeg {quality:.0f}')}"
        )
    if abs(generated.grey - reference.grey) >= GREY_DIFFERENCE:
        texts.append(
            f"colour differs: {generated.grey:.0%} of generated and {reference.grey:.0%} of {role} images are grey; "
            "nothing adds colour, so leave the grey images out of both sets"
        )
    return texts


def _common_size(*sets: SetProperties) -> int:
    """Return the side of an aligned image in which the smaller faces of two sets keep their pixels."""
    sides = [
        each.resolution if each.framing is None else each.framing * each.resolution / FFHQ_FRAMING
        for each in sets
    ]
    return max(_SMALLEST_SIDE, round(min(*sides, *(each.resolution for each in sets))))


def _apart(first: float | None, second: float | None, ratio: float) -> bool:
    if first is None or second is None or min(first, second) <= 0:
        return False
    return max(first, second) / min(first, second) >= ratio
