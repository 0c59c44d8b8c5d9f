"""The log of a run: one line a step in log.csv, the same numbers and pictures in TensorBoard."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

COLUMNS = ("step", "name", "value")


class Log:
    """Writes numbers and pictures of a run under its folder.

    Args:
        folder: of the run: log.csv, samples/*.png and tensorboard/ lie in it.
        start: steps already done; later lines, left by a run that was killed, are dropped.
    """

    def __init__(self, folder: Path, start: int) -> None:
        self.folder = folder
        kept = _before(folder / "log.csv", start)
        self._file: IO[str] = (folder / "log.csv").open("w", newline="", encoding="utf-8")
        self._table = csv.writer(self._file, lineterminator="\n")
        self._table.writerow(COLUMNS)
        self._table.writerows(kept)
        self._board = _board(folder / "tensorboard", start)

    def __enter__(self) -> Log:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()
        if self._board is not None:
            self._board.close()

    def numbers(self, step: int, values: Mapping[str, float]) -> None:
        """Write numbers of a step."""
        for name, value in values.items():
            self._table.writerow([step, name, f"{value:.7g}"])
            if self._board is not None:
                self._board.add_scalar(name, value, step)
        self._file.flush()

    def pictures(self, step: int, pictures: Mapping[str, NDArray[np.uint8]]) -> None:
        """Write pictures (height, width, 3) of a step."""
        for name, picture in pictures.items():
            path = self.folder / "samples" / f"{name}-{step:08d}.png"
            path.parent.mkdir(exist_ok=True)
            Image.fromarray(picture).save(path)
            if self._board is not None:
                self._board.add_image(name, picture, step, dataformats="HWC")

    def event(self, what: Mapping[str, Any]) -> None:
        """Append one line to events.jsonl: skipped images, interruptions, resumptions."""
        with (self.folder / "events.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(dict(what)) + "\n")


def _before(path: Path, start: int) -> list[list[str]]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.reader(file))[1:]
    return [row for row in rows if len(row) == len(COLUMNS) and row[0].isdigit() and int(row[0]) <= start]


def _board(folder: Path, start: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        return None  # log.csv has the same numbers
    return SummaryWriter(str(folder), purge_step=start + 1 if start else None)
