"""Features of an image set: decode once, feed every network, keep what was computed."""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from facebench.backbones.base import Backbone
from facebench.backbones.face_detection import Face, FaceFinder
from facebench.core.errors import InputError
from facebench.features.engine.cache import Cache
from facebench.features.engine.cluster import Cluster
from facebench.features.engine.compute import Compute
from facebench.features.engine.run import Pass
from facebench.features.store.sqlite import Store
from facebench.images.image_set import ImageSet, Item, Rejected


@dataclass
class Extraction:
    """What the networks saw in an image set; n is the number of images that could be decoded."""

    items: tuple[Item, ...]
    """In the set's order."""
    rejected: tuple[Rejected, ...]
    """Files and rows not used, from listing, reading, decoding, face finding and the networks."""
    sha256: list[str]
    """Of each file's bytes."""
    sizes: npt.NDArray[np.int64]
    """(n, 2): width, height."""
    faces: list[Face | None]
    """The face found in each image; all None when none was looked for."""
    arrays: dict[str, dict[str, npt.NDArray[np.float32]]]
    """Backbone name → array name → n rows. Rows without a result are NaN. Large arrays lie in files."""
    valid: dict[str, npt.NDArray[np.bool_]]
    """Backbone name → (n,), True where there is a finite result."""
    backbones: dict[str, Backbone]
    timings: dict[str, float]
    """Seconds by kind of work, summed over threads, and "total" as the clock on the wall shows it."""
    digest: str
    """sha256 over names, columns and content of the images."""
    warnings: list[str] = field(default_factory=list)
    """What the reader of the numbers should know: a store that failed, a picture of several frames."""
    finder: FaceFinder | None = None
    """What found the faces; None when none was looked for."""


def extract(
    images: ImageSet,
    backbones: Sequence[Backbone],
    *,
    store: Store | None,
    finder: FaceFinder | None = None,
    batch_size: int | None = None,
    workers: int | None = None,
    progress: Callable[[int, int], None] | None = None,
    face_source: Mapping[str, Face] | None = None,
    find_faces: bool = False,
    cluster: Cluster | None = None,
) -> Extraction:
    """Run networks over an image set in one pass.

    Each file is read once, decoded only if the store lacks something, and its face is found once for all
    networks. Results go to the store batch by batch: after a crash, at most the current batch is computed
    again, and the arrays are the same bit for bit as without the crash. Memory holds a few batches of network
    inputs and the arrays themselves, the large ones in temporary files.

    Args:
        images: the set.
        backbones: networks with different names.
        store: what was computed before, and where new results go; None keeps nothing. A store that cannot
            be read or written costs a warning, never a result.
        finder: finds faces; one is made when it is needed and not given.
        batch_size: of every network; by default 8 on a CPU and 128 on a GPU, halved when its memory is full.
        workers: threads that decode and preprocess; by default as many as there are cores.
        progress: called with the number of finished items and of all.
        face_source: by item name, the face in the image that it was edited from. Crops around a box
            (face224, face256) are cut there, so that source and edit are cut alike; the aligned crop
            (face112) keeps the landmarks of the image itself. Other items are cut at their own face.
        find_faces: look for faces even if no network needs a crop.
        cluster: workers that decode and compute in the place of this process, with the same networks.

    Returns:
        Arrays with one row for each image that could be decoded.

    Raises:
        InputError: two backbones have the same name.
        FacebenchError: a single image does not fit in the GPU's memory.
        KeyboardInterrupt: after what was computed so far has been written.
    """
    start = time.perf_counter()
    names = [backbone.name for backbone in backbones]
    if len(set(names)) < len(names):
        raise InputError(f"A backbone is named twice: {', '.join(sorted(names))}. Name each one once.")
    if not find_faces and all(backbone.crop == "image" for backbone in backbones):
        finder = None
    elif finder is None:
        finder = FaceFinder()
    cache = Cache(store)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    work = Pass(images.items, backbones, cache, finder, face_source or {}, progress)
    work.run(cluster.compute if cluster else Compute(backbones, finder, batch_size, workers or cores))
    if cluster is not None:
        work.warnings += cluster.warnings
        cluster.warnings = []
    timings = work.seconds | {"total": time.perf_counter() - start}
    return _collect(images, backbones, work, timings, cache.warnings())


def _collect(
    images: ImageSet,
    backbones: Sequence[Backbone],
    work: Pass,
    timings: dict[str, float],
    warnings: list[str],
) -> Extraction:
    """Leave out the rows of images that could not be decoded."""
    kept = np.array([i for i in range(len(images.items)) if i not in work.rejected], np.intp)
    finished = {name: table.finish(kept) for name, table in work.tables.items()}
    in_order = sorted([*work.rejected.items(), *work.excluded], key=lambda pair: (pair[0], pair[1].detail))
    notes = [f"{images.items[i].name}: {note}." for i in sorted(work.notes) for note in work.notes[i]]
    items = tuple(images.items[i] for i in kept)
    sha256 = [work.sha256[i] for i in kept]
    return Extraction(
        items=items,
        rejected=images.rejected + tuple(rejected for _, rejected in in_order),
        sha256=sha256,
        sizes=work.sizes[kept],
        faces=[work.faces[i] for i in kept],
        arrays={name: arrays for name, (arrays, _) in finished.items()},
        valid={name: valid for name, (_, valid) in finished.items()},
        backbones={backbone.name: backbone for backbone in backbones},
        timings=timings,
        digest=set_digest(items, sha256),
        warnings=warnings + work.warnings + notes,
        finder=work.finder,
    )


def set_digest(items: Sequence[Item], sha256: Sequence[str]) -> str:
    """Sha256 over the names, columns and contents of an image set, in order."""
    digest = hashlib.sha256()
    for item, content in zip(items, sha256, strict=True):
        digest.update(json.dumps([item.name, sorted(item.columns.items()), content]).encode() + b"\n")
    return digest.hexdigest()
