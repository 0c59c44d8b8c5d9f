"""Data of the image browser: every generated image with its linked images, numbers and columns."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from facebench.core.errors import InputError
from facebench.evaluation.per_image import linked_column
from facebench.evaluation.record import Run
from facebench.report.column_labels import NOT_SHOWN, column_label, network_name
from facebench.report.galleries.images import Thumbnail
from facebench.report.galleries.matching import matching_keys
from facebench.report.galleries.pairs import RunImages
from facebench.report.image_metrics import image_metrics

SELF_CONTAINED = 2_000
"""Largest number of generated images whose thumbnails are inside the page."""
MOST_IMAGES = 20_000
"""Largest number of generated images in the browser; of larger sets a random sample is shown."""
MAX_VALUES = 200
"""Largest number of values of a column that is a filter."""
THUMBNAILS = "thumbnails"
"""Folder of the thumbnails beside a page with more images."""
DIGITS = 4
"""Significant digits of the numbers."""


@dataclass
class Browser:
    """Data of the image browser of one section.

    Attributes:
        data: content for the script of the page.
        shown: number of generated images.
        total: number of generated images in all runs.
        in_folder: whether the thumbnails are files beside the page.
    """

    data: dict[str, Any]
    shown: int
    total: int
    in_folder: bool

    @property
    def json(self) -> str:
        """The data as JSON that can stand in a script element."""
        text = json.dumps(self.data, ensure_ascii=True, separators=(",", ":"), allow_nan=False)
        return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@dataclass
class Thumbnails:
    """Thumbnails of the page by number; each is stored once.

    Attributes:
        folder: folder of the page, where thumbnails become files; None embeds them.
        addresses: data URIs or relative addresses.
    """

    folder: Path | None = None
    addresses: list[str] = field(default_factory=list)
    _known: dict[str, int] = field(default_factory=dict)

    def add(self, image: Thumbnail) -> int:
        """Return the number of a thumbnail; -1 for an image that is not at hand."""
        if not image.uri:
            return -1
        if image.uri not in self._known:
            self._known[image.uri] = len(self.addresses)
            self.addresses.append(image.uri if self.folder is None else self._write(image.uri))
        return self._known[image.uri]

    def _write(self, uri: str) -> str:
        assert self.folder is not None
        content = base64.b64decode(uri.partition(",")[2])
        name = f"{hashlib.sha256(content).hexdigest()[:24]}.jpg"
        target = self.folder / THUMBNAILS / name
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
        except OSError as error:
            raise InputError(
                f"{target} cannot be written: {error.strerror}. Choose another --html."
            ) from error
        return f"{THUMBNAILS}/{name}"


def image_browser(
    runs: Sequence[Run], images: dict[int, RunImages], text: dict[str, Any], folder: Path | None = None
) -> Browser | None:
    """Collect the generated images of comparable runs; None where no image is at hand.

    Images of several runs that belong together stand side by side.

    Args:
        runs: the runs.
        images: thumbnails by index of the run.
        text: texts of the page.
        folder: folder of the page, for thumbnails of sets above 2,000 images; None embeds those of a random sample.
    """
    names = matching_keys(images)
    total = sum(map(len, names.values()))
    in_folder = folder is not None and total > SELF_CONTAINED
    kept = _sample(names, MOST_IMAGES if in_folder else SELF_CONTAINED, runs[0].seed)
    thumbnails = Thumbnails(folder if in_folder else None)
    numbers = _numbers(runs, images)
    columns = _text_columns(images)
    entries: dict[str, dict[str, Any]] = {}
    for index, own in images.items():
        affect = _affect(runs[index])
        for key, name in names[index].items():
            if key not in kept:
                continue
            entry = entries.setdefault(key, {"n": name, "c": [], "m": []})
            entry["c"] = entry["c"] or [_text(own.generated, column, name) for column in columns]
            related = [
                [role, thumbnails.add(own.thumbnail(role, linked)), linked]
                for role, linked in own.related(name)
            ]
            values = [_round(numbers[column][index].get(name)) for column in numbers]
            entry["m"].append({"r": index, "t": related, "v": values, "a": affect.get(name)})
    if not thumbnails.addresses:
        return None
    shown = sum(len(entry["m"]) for entry in entries.values())
    data = {
        "thumbnails": thumbnails.addresses,
        "runs": [run.name for run in runs],
        "numbers": [column_label(column, text) for column in numbers],
        "columns": [column_label(column, text) for column in columns],
        "affect": next((network_name(name) for run in runs if (name := _network(run))), ""),
        "images": list(entries.values()),
    }
    return Browser(data, shown, total, in_folder)


def _sample(names: dict[int, dict[str, str]], most: int, seed: int) -> set[str]:
    """Keep all keys, or a random sample with at most a number of images over all runs."""
    every = sorted({name for own in names.values() for name in own})
    total = sum(map(len, names.values()))
    if total <= most:
        return set(every)
    count = max(1, int(len(every) * most / total))
    return set(np.random.default_rng(seed).choice(every, count, replace=False).tolist())


def _numbers(runs: Sequence[Run], images: dict[int, RunImages]) -> dict[str, dict[int, dict[str, float]]]:
    """Numbers by column, run and image: metrics that rank images first, then the columns that vary."""
    found: dict[str, dict[int, dict[str, float]]] = {}
    for index in images:
        for metric, values in image_metrics(runs[index], limit=12).items():
            found.setdefault(metric, {})[index] = _by_name(values)
    for index, own in images.items():
        for column in map(str, own.generated.columns):
            if column in NOT_SHOWN or (column in found and index in found[column]):
                continue
            values = pd.to_numeric(own.generated[column], errors="coerce")
            if values.notna().mean() >= 0.5 and values.nunique() > 1:
                found.setdefault(column, {})[index] = _by_name(values)
    return {column: {index: by_run.get(index, {}) for index in images} for column, by_run in found.items()}


def _by_name(values: pd.Series[Any]) -> dict[str, float]:
    return {str(name): float(value) for name, value in values.items() if math.isfinite(value)}


def _text_columns(images: dict[int, RunImages]) -> list[str]:
    """Columns of names, such as identity and expression, with 2 to 200 values."""
    columns: dict[str, None] = {}
    for own in images.values():
        for column in map(str, own.generated.columns):
            values = own.generated[column]
            if column in ("role", "sha256", "source", "target", "reconstruction") or ":" in column:
                continue
            if pd.to_numeric(values, errors="coerce").notna().any():
                continue
            if 2 <= values.nunique() <= MAX_VALUES:
                columns[column] = None
    return list(columns)


def _text(table: pd.DataFrame, column: str, name: str) -> str:
    value = table.at[name, column] if column in table else None
    return value if isinstance(value, str) else ""


def _round(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(f"{value:.{DIGITS}g}")


def _network(run: Run) -> str:
    """The first affect network that reads valence and arousal of the images."""
    columns = [] if run.per_image is None else list(map(str, run.per_image.columns))
    names = (column.partition(":")[2] for column in columns if column.startswith("valence:"))
    return next((name for name in names if f"arousal:{name}" in columns), "")


def _affect(run: Run) -> dict[str, list[float | None]]:
    """Change of valence and arousal from the source: of the edit, then of the target; by image."""
    network = _network(run)
    if not network or run.per_image is None:
        return {}
    sides = {
        (name, role): linked_column(run.per_image, f"{name}:{network}", role)
        for role in ("generated", "source", "target")
        for name in ("valence", "arousal")
    }
    if sides["valence", "source"] is None:
        return {}
    changes: dict[str, list[float | None]] = {}
    for role in ("generated", "target"):
        for name in ("valence", "arousal"):
            column, source = sides[name, role], sides[name, "source"]
            values = {} if column is None or source is None else _by_name(column - source)
            for image in map(str, sides["valence", "source"].index):
                changes.setdefault(image, []).append(_round(values.get(image)))
    return changes
