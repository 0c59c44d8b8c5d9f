"""Folders of run records: their names, the newest one, and the runs below a folder or with a name."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from datetime import datetime, timezone
from itertools import count
from pathlib import Path

from facebench.core.files import safe_file_name

RECORD = "record.json"
RUNS = Path("runs")
"""Folder below which `facebench evaluate` writes by default, and in which runs are found by name."""
NEWEST = "newest"
"""Name that stands for the newest of all runs."""
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\dZ(-\d+)?")
_DEPTH = 3
"""Levels of folders that are searched for runs."""


def new_run_folder(runs: Path, name: str, protocol: str, created: datetime) -> Path:
    """Return a folder NAME-PROTOCOL/TIME that does not exist; TIME is in UTC.

    Example:
        >>> created = datetime(2026, 1, 2, 3, 4, 5, tzinfo=timezone.utc)
        >>> new_run_folder(Path("no-such-folder"), "ours", "quality", created).as_posix()
        'no-such-folder/ours-quality/2026-01-02T03-04-05Z'
    """
    time = f"{created.astimezone(timezone.utc):%Y-%m-%dT%H-%M-%SZ}"
    folder = runs / safe_file_name(f"{name}-{protocol}") / time
    numbered = (folder.with_name(f"{time}-{number}") for number in count(2))
    return folder if not folder.exists() else next(each for each in numbered if not each.exists())


def newest_run_folder(folder: Path) -> Path:
    """Return the newest run of a folder NAME-PROTOCOL; the folder itself when it has no such runs."""
    if (folder / RECORD).is_file():
        return folder
    return max(_runs_by_time(folder), key=_order, default=folder)


def run_folders(paths: Iterable[Path]) -> list[Path]:
    """Replace each folder without a record by the run folders below it, oldest first in NAME-PROTOCOL.

    A path without any run is returned as it is, unless runs were found in another path.

    Args:
        paths: record files, run folders, folders NAME-PROTOCOL, folders of these, or names of runs below `runs`.
    """
    given = [run for path in paths for run in (named_runs(path) or [path])]
    found = [[path] if _is_run(path) else _below(path, _DEPTH) for path in given]
    if not any(found):
        return given
    return [
        run
        for path, runs in zip(given, found, strict=True)
        for run in (runs if runs or path.is_dir() else [path])
    ]


def named_runs(name: Path, runs: Path = RUNS) -> list[Path]:
    """Return the run folders with a name, oldest first; empty for a path with runs and for an unknown name.

    A folder of images may have the name of a model: it holds no run, so that the name is looked up.

    Args:
        name: NAME-PROTOCOL/TIME, NAME-PROTOCOL, the name of a model, or "newest".
        runs: folder that holds the runs.
    """
    if _holds_runs(name) or name.is_absolute() or ".." in name.parts:
        return []
    inside = runs / name
    if name.parts and (below := _below(inside, _DEPTH)):
        return below
    if len(name.parts) != 1:
        return []
    every = sorted(_below(runs, _DEPTH), key=lambda run: (run_summary(run)["created"], _order(run)))
    if name == Path(NEWEST):
        return every[-1:]
    return [run for run in every if run_summary(run)["name"] == str(name)]


def run_summary(folder: Path) -> dict[str, str]:
    """Return name, protocol, suite and date of a run folder; empty texts where the record cannot be read.

    The record is not checked, so that long lists are fast.
    """
    try:
        content = json.loads((folder / RECORD).read_bytes())
    except (OSError, ValueError):
        content = {}
    if not isinstance(content, dict):
        content = {}
    return {key: str(content.get(key, "")) for key in ("name", "protocol", "suite", "created")}


def _holds_runs(path: Path) -> bool:
    """Return whether the path is a file, a run folder, or a folder with runs below it."""
    try:
        return path.is_file() or bool(_below(path, _DEPTH))
    except (OSError, ValueError):  # not permitted, too long, or a null character
        return True


def _is_run(path: Path) -> bool:
    try:
        return not path.is_dir() or (path / RECORD).is_file()
    except (OSError, ValueError):  # not permitted, too long, or a null character
        return True


def _below(folder: Path, depth: int) -> list[Path]:
    if _has_record(folder):
        return [folder]
    if depth == 0:
        return []
    return [run for each in sorted(_subfolders(folder), key=_order) for run in _below(each, depth - 1)]


def _has_record(folder: Path) -> bool:
    try:
        return (folder / RECORD).is_file()
    except (OSError, ValueError):  # not permitted, too long, or a null character
        return False


def _runs_by_time(folder: Path) -> list[Path]:
    return [each for each in _subfolders(folder) if _TIME.fullmatch(each.name) and (each / RECORD).is_file()]


def _subfolders(folder: Path) -> list[Path]:
    try:
        return [each for each in folder.iterdir() if each.is_dir()]
    except OSError:
        return []


def _order(folder: Path) -> tuple[str, int]:
    """Order of folders: by name, and -10 after -9 for runs of the same second."""
    time, number = folder.name, 0
    if _TIME.fullmatch(time):
        time, _, end = time.partition("Z")
        number = int(end[1:] or 0)
    return time, number
