"""Sets of buffers on disk, in parts of 64 faces; a part is written completely or not at all.

    buffers.json     description of the set
    part-N.pictures  one lossless WebP per face: photo, rendered, normal and albedo, stacked vertically
    part-N.npz       names, end offsets in the pictures file, codes, and skipped images

The npz file of a part is written last. A part without it does not exist.
"""

from __future__ import annotations

import json
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facebench.core.errors import InputError
from facebench.core.files import atomic_path, atomic_write_bytes, atomic_write_text
from facebench.core.json_files import parse_json
from facebench.training.data.faces import Face
from facebench.training.rig.buffers.flame_codes import Codes, join, person_codes
from facebench.training.rig.buffers.images import decode

HEADER = "buffers.json"
VERSION = 1
PART = 64
"""Images per part, the most that an interrupted run computes again."""
CODE = "code/"
_DAMAGED = (OSError, ValueError, KeyError, EOFError, zipfile.BadZipFile, zlib.error)


@dataclass(frozen=True)
class About:
    """Description of a set.

    Attributes:
        source: extractor that read the codes.
        space: space of the codes, "synthface" or "flame".
        size: pixels per side.
        brightest: value of `rendered` that byte 255 represents.
        images: number of input images.
        digest: sha256 of the names and contents of the input images.
        mean_shape: whether all faces have the mean shape of the set, an album of one person.
        weights: sha256 of the files that codes and rendering depend on, by name.
        version: version of the format.
    """

    source: str
    space: str
    size: int
    brightest: float
    images: int
    digest: str
    mean_shape: bool = False
    weights: Mapping[str, str] = field(default_factory=dict)
    version: int = VERSION

    @property
    def parts(self) -> int:
        """Number of parts of the finished set."""
        return -(-self.images // PART)

    @property
    def summary(self) -> str:
        """Size and source of the buffers, for messages."""
        return f"buffers of {self.size} pixels from {self.source}"


@dataclass(frozen=True)
class Part:
    """One part of a set in memory.

    Attributes:
        names: names of the images.
        encoded: photo and buffers of each image, see `images.encode`.
        codes: codes of the images; None when all were skipped.
        skipped: name, reason and detail of each skipped image.
    """

    names: Sequence[str]
    encoded: Sequence[bytes]
    codes: Codes | None
    skipped: Sequence[tuple[str, str, str]]


class BufferSet:
    """A finished set as training data: `read(i)` returns a photo, its buffers and its codes of shape and identity.

    The field `conditions` is (9, size, size) uint8; `facebench.training.rig.files.to_conditions` converts it to floats.
    The fields `shape` and `identity` are float32, see `flame_codes.person_codes`.

    Raises:
        InputError: the set does not exist, or it is unfinished or damaged.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.about = read_about(self.folder)
        missing = [part for part in range(self.about.parts) if not has_part(self.folder, part)]
        if missing:
            raise InputError(
                f"{self.folder} is not finished: {len(missing)} of {self.about.parts} parts are missing. Run the same "
                "`facebench buffers` command again; it continues there."
            )
        tables = [read_table(self.folder, part) for part in range(self.about.parts)]
        self.names = [str(name) for table in tables for name in table["names"]]
        self.skipped = [
            (str(name), str(reason), str(detail))
            for table in tables
            for name, reason, detail in table["skipped"]
        ]
        if not self.names:
            raise InputError(f"{self.folder} holds no face: all {self.about.images} images were skipped.")
        self._codes = [codes_of(table) for table in tables if len(table["names"])]
        self._rows = [(part, row) for part, table in enumerate(tables) for row in range(len(table["names"]))]
        self._ends = [table["ends"] for table in tables]

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> Face:
        """Read photo and buffers of face `index`."""
        part, row = self._rows[index]
        start = int(self._ends[part][row - 1]) if row else 0
        data = self._files[part][start : int(self._ends[part][row])].tobytes()
        photo, conditions = decode(data, f"{self.folder}: {self.names[index]}")
        person = {name: array[index] for name, array in self._person.items()}
        return Face(self.names[index], photo, {"conditions": conditions, **person})

    @cached_property
    def codes(self) -> Codes:
        """Codes of all faces."""
        return join(self._codes)

    @cached_property
    def _person(self) -> Codes:
        return person_codes(self.codes, self.about.space)

    @property
    def bytes(self) -> int:
        """Size on disk."""
        return sum(path.stat().st_size for path in self.folder.iterdir() if path.is_file())

    @cached_property
    def _files(self) -> dict[int, NDArray[np.uint8]]:
        parts = sorted({part for part, _ in self._rows})
        return {part: np.memmap(pictures_of(self.folder, part), np.uint8, "r") for part in parts}

    def __getstate__(self) -> dict[str, object]:
        # Memory maps are opened again in each process.
        return {name: value for name, value in self.__dict__.items() if name != "_files"}


def read_about(folder: Path) -> About:
    """Read the description of a set.

    Raises:
        InputError: the folder holds no buffers, or its description is damaged or of another version.
    """
    try:
        content = parse_json((folder / HEADER).read_text(encoding="utf-8"))
        about = About(**content)
    except FileNotFoundError:
        raise InputError(
            f"{folder} does not contain buffers. Make them: facebench buffers IMAGES --out {folder}"
        ) from None
    except (OSError, ValueError, TypeError) as error:
        raise InputError(
            f"{folder / HEADER} is damaged ({error}). Delete the folder and make it again."
        ) from None
    if about.version != VERSION:
        raise InputError(
            f"{folder} has version {about.version} of the format, {VERSION} is needed. Make it again."
        )
    return about


def write_about(folder: Path, about: About) -> None:
    """Write the description of a set."""
    atomic_write_text(folder / HEADER, json.dumps(asdict(about), indent=1) + "\n")


def write_part(folder: Path, number: int, part: Part) -> None:
    """Write one part.

    Raises:
        InputError: the disk is full or not writable.
    """
    arrays: dict[str, NDArray[Any]] = {
        "names": np.array(part.names, np.str_),
        "ends": np.cumsum([len(data) for data in part.encoded], dtype=np.int64),
        "skipped": np.array(part.skipped, np.str_).reshape(-1, 3),
    }
    arrays |= {CODE + name: array for name, array in (part.codes or {}).items()}
    try:
        atomic_write_bytes(pictures_of(folder, number), b"".join(part.encoded))
        with atomic_path(_table(folder, number)) as temporary:
            np.savez_compressed(temporary, **arrays)  # type: ignore[arg-type]
    except OSError as error:
        raise InputError(
            f"{folder}: part {number} cannot be written ({error}). Free some space and run the same command again; "
            "finished parts are kept."
        ) from None


def has_part(folder: Path, number: int) -> bool:
    """Whether a part is complete."""
    return _table(folder, number).is_file()


def read_table(folder: Path, number: int) -> dict[str, NDArray[Any]]:
    """Read names, end offsets, skipped images and codes of a part.

    Raises:
        InputError: a file of the part is damaged.
    """
    path = _table(folder, number)
    try:
        with np.load(path, allow_pickle=False) as file:
            table = {name: file[name] for name in file.files}
        if pictures_of(folder, number).stat().st_size != (table["ends"][-1] if len(table["ends"]) else 0):
            raise ValueError("the pictures are cut off")
        return table
    except _DAMAGED as error:
        raise InputError(f"{path} is damaged ({error}). Delete it and run the same command again.") from None


def codes_of(table: Mapping[str, NDArray[Any]]) -> Codes:
    """Select the codes of a part."""
    return {name.removeprefix(CODE): array for name, array in table.items() if name.startswith(CODE)}


def pictures_of(folder: Path, number: int) -> Path:
    """Path of a part's pictures file."""
    return folder / f"part-{number:05d}.pictures"


def _table(folder: Path, number: int) -> Path:
    return folder / f"part-{number:05d}.npz"
