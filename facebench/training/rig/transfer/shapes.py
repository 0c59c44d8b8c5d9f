"""Shape of the source in a transfer: its own, the mean of its album, or that of a file.

The networks of stage 2 are trained on albums with the mean shape. Without it at inference, the buffers differ from
those of the training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from facebench.core.errors import InputError
from facebench.images.image_set import ImageSet, Item
from facebench.training.rig.buffers import BufferSet, open_buffers
from facebench.training.rig.buffers.flame_codes import Codes, Space, join, mean_shape, take
from facebench.training.rig.buffers.lmdb_buffers import LmdbBuffers, read_mean_shape
from facebench.training.rig.buffers.results import Found
from facebench.training.rig.files import Trained

ALBUM, OWN = "album", "own"


def choose_shape(wanted: str | None, trained: Trained) -> str:
    """Return "album", "own" or a path; without a wish, "album" for a model that was trained with a mean shape."""
    if wanted is not None:
        return wanted
    return ALBUM if trained.mean_shape else OWN


def items_to_read(shape: str, images: ImageSet, used: Sequence[Item]) -> list[Item]:
    """Return the source images whose codes are needed: all images of the album, or those that pairs use."""
    return list(images.items) if shape == ALBUM else list(used)


def shapes_of_sources(
    shape: str, found: Mapping[str, Found], images: ImageSet, space: Space
) -> dict[str, Codes]:
    """Return the shape codes (1, ...) of every source with a face, by image name; empty for their own shapes.

    The album of a source is the images of its identity, or the whole set where not all images have one.

    Raises:
        InputError: the file does not exist or belongs to another space.
    """
    if shape == OWN:
        return {}
    if shape != ALBUM:
        codes = read_shape(Path(shape), space)
        return dict.fromkeys(found, codes)
    identities = {item.name: item.columns.get("identity") for item in images.items}
    if any(identity is None for identity in identities.values()):
        identities = dict.fromkeys(identities, "")
    members: dict[str | None, list[Codes]] = {}
    for name, one in found.items():
        members.setdefault(identities[name], []).append(one.codes)
    means = {identity: mean_shape(join(parts), space) for identity, parts in members.items()}
    return {name: means[identities[name]] for name in found}


def read_shape(path: Path, space: Space) -> Codes:
    """Read a mean shape: `mean_shape.pkl`, the LMDB database of an album, or buffers of an album.

    Raises:
        InputError: the file or folder is missing, holds no mean shape, or belongs to another space.
    """
    if not path.exists():
        raise InputError(
            f"The album or mean shape {path} does not exist. Use --shape album, own, or an existing file."
        )
    if path.is_file():
        return _flame_only(path, space)
    buffers = open_buffers(path)
    if isinstance(buffers, LmdbBuffers):
        if buffers.mean_shape_file is None:
            raise InputError(f"{path} holds no mean_shape.pkl: it is not the database of an album.")
        return _flame_only(buffers.mean_shape_file, space)
    assert isinstance(buffers, BufferSet)
    if not buffers.about.mean_shape or buffers.about.space != space.name:
        raise InputError(
            f"{path} holds {buffers.about.summary}, not an album with the mean shape of {space.name} codes. Make it: "
            "facebench buffers ALBUM --mean-shape"
        )
    first = take(buffers.codes, [0])
    return {name: np.asarray(first[name]) for name in space.shape}


def _flame_only(path: Path, space: Space) -> Codes:
    if space.name != "flame":
        raise InputError(
            f"{path} holds a shape of FLAME, but the checkpoint was trained with {space.name} codes."
        )
    return {"shape": read_mean_shape(path)}
