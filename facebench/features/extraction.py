"""Feature extraction: decode each image once, run every network on it, and store the results."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from facebench.backbones.base import Backbone
from facebench.backbones.face_detection import Face, FaceFinder
from facebench.backbones.face_detector import FaceDetector
from facebench.core.errors import InputError
from facebench.core.progress import Progress, no_progress
from facebench.features.engine.cache import Cache
from facebench.features.engine.cluster import Cluster
from facebench.features.engine.compute import Compute
from facebench.features.engine.run import ExtractionRun
from facebench.features.store.sqlite import Store
from facebench.images.image_set import ImageSet, Item, Rejected


@dataclass
class Extraction:
    """Features of an image set, with one row for each of the n images that could be decoded."""

    items: tuple[Item, ...]
    """Decoded images in the order of the set."""
    rejected: tuple[Rejected, ...]
    """Files and rows that were not used: rejected by listing, reading, decoding, face detection or a network."""
    sha256: list[str]
    """sha256 of each file."""
    sizes: npt.NDArray[np.int64]
    """(n, 2) width and height."""
    faces: list[Face | None]
    """Detected face of each image; all None if face detection did not run."""
    arrays: dict[str, dict[str, npt.NDArray[np.float32]]]
    """Backbone name → array name → n rows. Rows without a result are NaN. Large arrays are memory-mapped."""
    valid: dict[str, npt.NDArray[np.bool_]]
    """Backbone name → (n,) mask of the rows with a finite result."""
    backbones: dict[str, Backbone]
    timings: dict[str, float]
    """Seconds by stage, summed over threads; "total" is wall time."""
    digest: str
    """sha256 of names, columns and contents of the images."""
    warnings: list[str] = field(default_factory=list)
    """Notes for the reader of the results, such as a failed store or an image with several frames."""
    finder: FaceDetector | None = None
    """Face detector; None if face detection did not run."""


@dataclass(frozen=True)
class FaceOptions:
    """Face detection and box crops."""

    finder: FaceDetector | None = None
    """Face detector; created if needed and not given."""
    box_faces: Mapping[str, Face] = field(default_factory=dict)
    """By item name, the face that determines box crops (face224, face256), such as the face of the source of an
    edit. The crops face112 and face150 always use the landmarks of the image itself."""
    always_detect: bool = False
    """Detect faces even if no network needs a crop."""


@dataclass(frozen=True)
class Execution:
    """Execution of networks."""

    batch_size: int | None = None
    """Batch size of every network; 8 on a CPU and 128 on a GPU by default. It is halved if a GPU runs out of
    memory."""
    workers: int | None = None
    """Threads for decoding and preprocessing; by default the number of cores."""
    cluster: Cluster | None = None
    """Workers that decode and compute in place of this process, with the same networks."""


def extract(
    images: ImageSet,
    backbones: Sequence[Backbone],
    *,
    store: Store | None,
    faces: FaceOptions | None = None,
    execution: Execution | None = None,
    progress: Progress = no_progress,
    stage: str = "images",
) -> Extraction:
    """Run networks on an image set.

    Each file is read once. It is decoded only if the store lacks a result, and its face is detected once for all
    networks. Results are stored batch by batch. After a crash, at most the current batch is computed again, and the
    arrays are identical bit for bit. Memory holds a few batches of network inputs and the arrays.

    Args:
        images: the image set.
        backbones: networks with unique names.
        store: previous and new results; None disables storage. A failing store causes a warning.
        faces: face detection; defaults of `FaceOptions`.
        execution: batch size, threads or cluster; defaults of `Execution`.
        progress: called with `stage`, the number of finished images, and the total.
        stage: name of this stage for `progress`.

    Returns:
        Arrays with one row for each image that could be decoded.

    Raises:
        InputError: two backbones have the same name.
        FacebenchError: a single image does not fit in the memory of the GPU.
        KeyboardInterrupt: after the computed results have been stored.
    """
    start = time.perf_counter()
    _check_names(backbones)
    faces, execution = faces or FaceOptions(), execution or Execution()
    total = len(images.items)
    cache = Cache(store)
    run = ExtractionRun(
        images.items,
        backbones,
        cache,
        _finder(backbones, faces),
        faces.box_faces,
        lambda done: progress(stage, done, total),
    )
    cluster = execution.cluster
    if cluster is None:
        run.run(Compute(backbones, run.finder, execution.batch_size, execution.workers or _cores()))
    else:
        run.run(cluster.compute)
        run.warnings += cluster.warnings
        cluster.warnings = []
    timings = run.seconds | {"total": time.perf_counter() - start}
    return _collect(images, backbones, run, timings, cache.warnings())


def set_digest(items: Sequence[Item], sha256: Sequence[str]) -> str:
    """Return the sha256 of the names, columns and contents of an image set, in order."""
    digest = hashlib.sha256()
    for item, content in zip(items, sha256, strict=True):
        digest.update(json.dumps([item.name, sorted(item.columns.items()), content]).encode() + b"\n")
    return digest.hexdigest()


def _check_names(backbones: Sequence[Backbone]) -> None:
    names = [backbone.name for backbone in backbones]
    if len(set(names)) < len(names):
        raise InputError(f"A backbone is named twice: {', '.join(sorted(names))}. Name each one once.")


def _finder(backbones: Sequence[Backbone], faces: FaceOptions) -> FaceDetector | None:
    """Return the face detector; None if no face is needed."""
    if faces.always_detect or any(backbone.crop != "image" for backbone in backbones):
        return faces.finder or FaceFinder()
    return None


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _collect(
    images: ImageSet,
    backbones: Sequence[Backbone],
    run: ExtractionRun,
    timings: dict[str, float],
    warnings: list[str],
) -> Extraction:
    """Build the result without the rows of images that could not be decoded."""
    kept = np.array([i for i in range(len(images.items)) if i not in run.rejected], np.intp)
    finished = {name: table.finish(kept) for name, table in run.tables.items()}
    rejected = sorted([*run.rejected.items(), *run.excluded], key=lambda pair: (pair[0], pair[1].detail))
    notes = [f"{images.items[i].name}: {note}." for i in sorted(run.notes) for note in run.notes[i]]
    items = tuple(images.items[i] for i in kept)
    sha256 = [run.sha256[i] for i in kept]
    return Extraction(
        items=items,
        rejected=images.rejected + tuple(entry for _, entry in rejected),
        sha256=sha256,
        sizes=run.sizes[kept],
        faces=[run.faces[i] for i in kept],
        arrays={name: arrays for name, (arrays, _) in finished.items()},
        valid={name: valid for name, (_, valid) in finished.items()},
        backbones={backbone.name: backbone for backbone in backbones},
        timings=timings,
        digest=set_digest(items, sha256),
        warnings=[*images.warnings, *warnings, *run.warnings, *notes],
        finder=run.finder,
    )
