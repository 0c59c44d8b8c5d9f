"""Log of a run: scalars in log.csv, and the same scalars and sample images in TensorBoard."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from facebench.core.files import atomic_path, atomic_write_text

COLUMNS = ("step", "name", "value")


class Log:
    """Writes scalars, images and events of a run.

    Args:
        folder: folder of the run; holds log.csv, events.jsonl, samples/*.png and tensorboard/.
        start: number of steps done; rows of later steps, which a killed run left behind, are removed.
    """

    def __init__(self, folder: Path, start: int) -> None:
        self.folder = folder
        path = folder / "log.csv"
        # A run killed at any moment leaves the complete history: the table is replaced, then extended.
        atomic_write_text(path, _csv([list(COLUMNS), *_rows_until(path, start)]))
        self._file: IO[str] = path.open("a", newline="", encoding="utf-8")
        self._table = csv.writer(self._file, lineterminator="\n")
        self._board = _tensorboard(folder / "tensorboard", start)

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if self._board is not None:
            self._board.close()

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write scalars of a step."""
        for name, value in values.items():
            self._table.writerow([step, name, f"{value:.7g}"])
            if self._board is not None:
                self._board.add_scalar(name, value, step)
        self._file.flush()

    def images(self, step: int, images: Mapping[str, NDArray[np.uint8]]) -> None:
        """Write sample images (height, width, 3) of a step."""
        for name, image in images.items():
            path = self.folder / "samples" / f"{name}-{step:08d}.png"
            path.parent.mkdir(exist_ok=True)
            with atomic_path(path) as temporary:
                Image.fromarray(image).save(temporary)
            if self._board is not None:
                self._board.add_image(name, image, step, dataformats="HWC")

    def event(self, fields: Mapping[str, Any]) -> None:
        """Append one line to events.jsonl."""
        with (self.folder / "events.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(dict(fields)) + "\n")


def _rows_until(path: Path, step: int) -> list[list[str]]:
    """Read the rows of a log up to a step; a row that was cut off is left out."""
    if not path.exists():
        return []
    text = path.read_text(encoding="utf-8", errors="replace").replace("\0", "")
    complete = text[: text.rfind("\n") + 1]
    rows = list(csv.reader(io.StringIO(complete)))[1:]
    return [row for row in rows if len(row) == len(COLUMNS) and row[0].isdigit() and int(row[0]) <= step]


def _csv(rows: list[list[str]]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows(rows)
    return text.getvalue()


def _tensorboard(folder: Path, start: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None  # log.csv holds the same scalars
    return SummaryWriter(str(folder), purge_step=start + 1 if start else None)
