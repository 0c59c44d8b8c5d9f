"""Sets of buffers on disk: parts of 64 faces, each written whole or not at all.

A set is a folder with `buffers.json` (what it is) and, for every part, `part-N.pictures` (one lossless WebP per
face: the photo, and below it rendered, normal and albedo) and `part-N.npz` (names, places in the pictures file,
codes, and images that were skipped). A part counts once its npz is there, which is written last.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from facebench.core.errors import InputError
from facebench.training.data.faces import Face
from facebench.training.rig.buffers.flame_codes import Codes, join
from facebench.training.rig.buffers.images import decode

HEADER = "buffers.json"
VERSION = 1
PART = 64
"""Images per part: what an interrupted run may have to do again."""
CODE = "code/"


@dataclass(frozen=True)
class About:
    """What a set is.

    Attributes:
        source: extractor that read the codes.
        space: what the codes mean, "synthface" or "flame".
        size: pixels per side.
        brightest: value of `rendered` that the largest byte stands for.
        images: how many images were given.
        digest: of their names and bytes.
        mean_shape: whether all faces were drawn with the mean shape of the set, an album of one person.
        weights: sha256 of the files that codes and drawing depend on.
        version: of the format.
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
        """How many parts a finished set has."""
        return -(-self.images // PART)

    @property
    def said(self) -> str:
        """In a few words, for messages."""
        return f"buffers of {self.size} pixels from {self.source}"


@dataclass(frozen=True)
class Part:
    """One part of a set, in memory."""

    names: Sequence[str]
    pictures: Sequence[bytes]
    codes: Codes | None
    skipped: Sequence[tuple[str, str, str]]


class BufferSet:
    """A finished set, read as training data: `read(i)` gives the photo, and its buffers as the field `conditions`.

    `conditions` is (9, size, size) uint8; `facebench.training.tasks.rig` turns it back into numbers.

    Raises:
        InputError: there is no set, it is not finished, or it is damaged.
    """

    def __init__(self, folder: str | Path) -> None:
        self.folder = Path(folder)
        self.about = read_about(self.folder)
        missing = [part for part in range(self.about.parts) if not _table(self.folder, part).is_file()]
        if missing:
            raise InputError(
                f"{self.folder} is not finished: {len(missing)} of {self.about.parts} parts are missing. Run the same "
                "`facebench buffers` command again; it goes on from there."
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
        self._place = [(part, row) for part, table in enumerate(tables) for row in range(len(table["names"]))]
        self._ends = [table["ends"] for table in tables]

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int) -> Face:
        """Photo and buffers of face `index`."""
        part, row = self._place[index]
        start = int(self._ends[part][row - 1]) if row else 0
        data = self._pictures[part][start : int(self._ends[part][row])].tobytes()
        photo, conditions = decode(data, f"{self.folder}: {self.names[index]}")
        return Face(self.names[index], photo, {"conditions": conditions})

    @cached_property
    def codes(self) -> Codes:
        """Codes of all faces."""
        return join(self._codes)

    @property
    def bytes(self) -> int:
        """On disk."""
        return sum(path.stat().st_size for path in self.folder.iterdir() if path.is_file())

    @cached_property
    def _pictures(self) -> dict[int, NDArray[np.uint8]]:
        parts = sorted({part for part, _ in self._place})
        return {part: np.memmap(pictures_of(self.folder, part), np.uint8, "r") for part in parts}

    def __getstate__(self) -> dict[str, object]:
        return {name: value for name, value in self.__dict__.items() if name != "_pictures"}


def read_about(folder: Path) -> About:
    """What a folder of buffers says of itself.

    Raises:
        InputError: it holds no buffers, or those of another version of facebench.
    """
    try:
        content = json.loads((folder / HEADER).read_text(encoding="utf-8"))
        about = About(**content)
    except FileNotFoundError:
        raise InputError(
            f"There are no buffers in {folder}. Make them: facebench buffers IMAGES --out {folder}"
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
    """Begin a set."""
    _whole(folder / HEADER, (json.dumps(asdict(about), indent=1) + "\n").encode())


def write_part(folder: Path, number: int, part: Part) -> None:
    """Write one part; it appears whole or not at all.

    Raises:
        InputError: the disk is full or not writable.
    """
    ends = np.cumsum([len(picture) for picture in part.pictures], dtype=np.int64)
    arrays: dict[str, NDArray[Any]] = {
        "names": np.array(part.names, np.str_),
        "ends": ends,
        "skipped": np.array(part.skipped, np.str_).reshape(-1, 3),
    }
    arrays |= {CODE + name: array for name, array in (part.codes or {}).items()}
    try:
        _whole(pictures_of(folder, number), b"".join(part.pictures))
        partial = _table(folder, number).with_suffix(".partial.npz")
        np.savez_compressed(partial, allow_pickle=False, **arrays)
        partial.replace(_table(folder, number))
    except OSError as error:
        raise InputError(
            f"{folder}: part {number} cannot be written ({error}). Free some space and run the same command again; "
            "finished parts are kept."
        ) from None


def has_part(folder: Path, number: int) -> bool:
    """Whether a part is there."""
    return _table(folder, number).is_file()


def read_table(folder: Path, number: int) -> dict[str, NDArray[Any]]:
    """Names, ends, skipped images and codes of a part.

    Raises:
        InputError: the file is damaged.
    """
    path = _table(folder, number)
    try:
        with np.load(path, allow_pickle=False) as file:
            table = {name: file[name] for name in file.files}
        if pictures_of(folder, number).stat().st_size != (table["ends"][-1] if len(table["ends"]) else 0):
            raise ValueError("the pictures are cut off")
        return table
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise InputError(f"{path} is damaged ({error}). Delete it and run the same command again.") from None


def codes_of(table: Mapping[str, NDArray[Any]]) -> Codes:
    """The codes of a part."""
    return {name.removeprefix(CODE): array for name, array in table.items() if name.startswith(CODE)}


def pictures_of(folder: Path, number: int) -> Path:
    """The file of a part's pictures."""
    return folder / f"part-{number:05d}.pictures"


def _table(folder: Path, number: int) -> Path:
    return folder / f"part-{number:05d}.npz"


def _whole(path: Path, data: bytes) -> None:
    partial = path.with_name(path.name + ".partial")
    with partial.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
