"""Feature extraction in the processes that hold the images; the rows meet on the first process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from facebench.backbones import Backbone
from facebench.backbones.face_detection import Face
from facebench.backbones.face_detector import FaceDetector
from facebench.core.errors import InputError
from facebench.core.progress import Progress, no_progress
from facebench.features.engine.cache import network_of
from facebench.features.engine.table import allocate
from facebench.features.extraction import Execution, Extraction, FaceOptions, extract, set_digest
from facebench.features.shares import Answer, Networks, ShareAnswer, shares_of
from facebench.features.store.sqlite import Network, Store
from facebench.images.image_set import ImageSet, Item, Rejected

Arrays = dict[str, dict[str, npt.NDArray[np.float32]]]


def extract_where_held(
    images: ImageSet,
    backbones: Sequence[Backbone],
    *,
    faces: FaceOptions,
    execution: Execution | None = None,
    progress: Progress = no_progress,
    stage: str = "images",
) -> Extraction:
    """Run networks on an image set as `extract` does; each process works on the images that it holds.

    Args:
        images: the image set.
        backbones: networks with unique names.
        faces: face detection.
        execution: batch size, threads or cluster; images of other processes are not sent to a cluster.
        progress: called with `stage`, the number of finished images, and the total.
        stage: name of this stage for `progress`.

    Raises:
        InputError: two processes have different weights of a network.
        FacebenchError: a process failed or was lost.
    """
    shares = shares_of(images.items)
    if shares is None:
        return extract(
            images,
            backbones,
            store=Store(),
            faces=faces,
            execution=execution,
            progress=progress,
            stage=stage,
        )
    task = _Extract(
        tuple((each.name, each.device.type) for each in backbones),
        None if faces.finder is None else faces.finder.name,
        dict(faces.box_faces),
        faces.always_detect,
        stage,
    )
    total = len(images.items)
    answers = shares.ask(
        task,
        images.items,
        Networks(backbones, faces.finder),
        lambda stage, done, own: progress(stage, done, total),
    )
    merged = _merged(images, backbones, faces, answers)
    progress(stage, total, total)
    return merged


@dataclass(frozen=True)
class _Features:
    """Facts about the images of one process, apart from the arrays."""

    kept: list[int]
    """Positions among its images of those that have features."""
    rejected: tuple[Rejected, ...]
    sha256: list[str]
    sizes: npt.NDArray[np.int64]
    faces: list[Face | None]
    valid: dict[str, npt.NDArray[np.bool_]]
    networks: list[Network]
    """Store keys of the networks and of the face detector: name, weights and preprocessing."""
    timings: dict[str, float]
    warnings: list[str]


@dataclass(frozen=True)
class _Extract:
    """Extraction of features of the images of one process."""

    networks: tuple[tuple[str, str], ...]
    """Name and kind of device of every network."""
    finder: str | None
    box_faces: Mapping[str, Face]
    always_detect: bool
    stage: str

    def run(self, items: Sequence[Item], networks: Networks, progress: Progress) -> Answer:
        """Extract features; the arrays are named `network/array`."""
        finder = None if self.finder is None else networks.detector(self.finder)
        extraction = extract(
            ImageSet(items[0].path, "memory", tuple(items)),
            [networks.backbone(*each) for each in self.networks],
            store=Store(),
            faces=FaceOptions(finder, self.box_faces, self.always_detect),
            progress=progress,
            stage=self.stage,
        )
        place = {item.name: index for index, item in enumerate(items)}
        used: list[Backbone | FaceDetector] = [*extraction.backbones.values()]
        used += [] if extraction.finder is None else [extraction.finder]
        content = _Features(
            [place[item.name] for item in extraction.items],
            extraction.rejected,
            extraction.sha256,
            extraction.sizes,
            extraction.faces,
            extraction.valid,
            [network_of(each) for each in used],
            extraction.timings,
            extraction.warnings,
        )
        arrays = {
            f"{name}/{array}": rows
            for name, each in extraction.arrays.items()
            if extraction.valid[name].any()
            for array, rows in each.items()
        }
        return Answer(content, arrays)


@dataclass
class _Merge:
    """Images of all processes in the order of the set."""

    places: list[int] = field(default_factory=list)
    sha256: dict[int, str] = field(default_factory=dict)
    sizes: dict[int, npt.NDArray[np.int64]] = field(default_factory=dict)
    faces: dict[int, Face | None] = field(default_factory=dict)

    def add(self, answer: ShareAnswer) -> None:
        """Add the images of one process."""
        known: _Features = answer.content
        kept = [answer.places[index] for index in known.kept]
        self.places = sorted([*self.places, *kept])
        self.sha256.update(zip(kept, known.sha256, strict=True))
        self.sizes.update(zip(kept, known.sizes, strict=True))
        self.faces.update(zip(kept, known.faces, strict=True))


def _merged(
    images: ImageSet, backbones: Sequence[Backbone], faces: FaceOptions, answers: Sequence[ShareAnswer]
) -> Extraction:
    """Return the extraction of the whole set."""
    _check_networks(answers)
    merge = _Merge()
    for answer in answers:
        merge.add(answer)
    row_of = {place: row for row, place in enumerate(merge.places)}
    rows = [
        np.array([row_of[answer.places[index]] for index in answer.content.kept], np.int64)
        for answer in answers
    ]
    items = tuple(images.items[place] for place in merge.places)
    sha256 = [merge.sha256[place] for place in merge.places]
    known: list[_Features] = [answer.content for answer in answers]
    detected = faces.always_detect or any(each.crop != "image" for each in backbones)
    return Extraction(
        items=items,
        rejected=images.rejected + _rejected(images, known),
        sha256=sha256,
        sizes=np.array([merge.sizes[place] for place in merge.places], np.int64).reshape(-1, 2),
        faces=[merge.faces[place] for place in merge.places],
        arrays=_arrays(backbones, answers, rows, len(items)),
        valid={each.name: _valid(each.name, known, rows, len(items)) for each in backbones},
        backbones={each.name: each for each in backbones},
        timings=_summed(known),
        digest=set_digest(items, sha256),
        warnings=list(dict.fromkeys([*images.warnings, *(text for each in known for text in each.warnings)])),
        finder=faces.finder if detected else None,
    )


def _check_networks(answers: Sequence[ShareAnswer]) -> None:
    """Check that all processes used the same weights and preprocessing.

    Raises:
        InputError: they did not.
    """
    for answer in answers[1:]:
        for first, other in zip(answers[0].content.networks, answer.content.networks, strict=True):
            if first != other:
                raise InputError(
                    f"Two processes have different weights or versions of {first.name}. Install the same on all."
                )


def _arrays(
    backbones: Sequence[Backbone],
    answers: Sequence[ShareAnswer],
    rows: Sequence[npt.NDArray[np.int64]],
    count: int,
) -> Arrays:
    """Allocate the arrays of all networks, and receive their rows."""
    shapes = {name: shape for answer in answers for name, shape in answer.shapes.items()}
    tables = {name: allocate((count, *shape[1:])) for name, shape in shapes.items()}
    for table in tables.values():
        table[:] = np.nan
    for answer, own in zip(answers, rows, strict=True):
        answer.fill(tables, dict.fromkeys(tables, own))
    arrays: Arrays = {}
    for each in backbones:
        unknown = np.full(count, np.nan, np.float32)
        arrays[each.name] = {
            array: tables.get(f"{each.name}/{array}", unknown.copy()) for array in each.arrays
        }
    return arrays


def _valid(
    name: str, known: Sequence[_Features], rows: Sequence[npt.NDArray[np.int64]], count: int
) -> npt.NDArray[np.bool_]:
    valid = np.zeros(count, np.bool_)
    for each, own in zip(known, rows, strict=True):
        valid[own] = each.valid[name]
    return valid


def _rejected(images: ImageSet, known: Sequence[_Features]) -> tuple[Rejected, ...]:
    place = {item.name: index for index, item in enumerate(images.items)}
    rejected = [entry for each in known for entry in each.rejected]
    return tuple(sorted(rejected, key=lambda entry: (place[entry.name], entry.detail)))


def _summed(known: Sequence[Any]) -> dict[str, float]:
    """Return the seconds of all processes; "total" is that of the slowest."""
    stages = dict.fromkeys(stage for each in known for stage in each.timings)
    return {
        stage: (max if stage == "total" else sum)(each.timings.get(stage, 0.0) for each in known)
        for stage in stages
    }
