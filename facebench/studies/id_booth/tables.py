"""Tables 1 to 3 of ID-Booth from run records, with the published rows beside them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from facebench.compare.leaderboard import Leaderboard
from facebench.evaluation.record_reading import load_run

IDENTITY = ("eer_", "fmr100_", "fmr1000_", "impostor_", "genuine_", "fdr_")
"""Beginnings of the metrics of table 2; all others belong to table 1."""
FORMATS = {"csv": "to_csv", "html": "to_html", "tex": "to_latex", "md": "to_markdown"}


def write_tables(folder: Path, evaluations: Sequence[Path], utilities: Sequence[Path]) -> list[Path]:
    """Write the tables of quality, identity and utility in every format.

    Args:
        folder: output folder.
        evaluations: run folders of the images.
        utilities: run folders of the recognisers; may be empty.

    Returns:
        The written files.
    """
    written: list[Path] = []
    metrics = list(dict.fromkeys(metric for run in evaluations for metric in load_run(run).metrics))
    parts = {
        "table-1-quality": [metric for metric in metrics if not metric.startswith(IDENTITY)],
        "table-2-identity": [metric for metric in metrics if metric.startswith(IDENTITY)],
    }
    for name, shown in parts.items():
        if shown:
            board = Leaderboard.from_runs(evaluations, published=True, metrics=shown)
            written += _write(folder / name, board)
    if utilities:
        written += _write(folder / "table-3-utility", Leaderboard.from_runs(utilities, published=True))
    return written


def _write(path: Path, board: Leaderboard) -> list[Path]:
    files = []
    for suffix, method in FORMATS.items():
        file = path.with_name(f"{path.name}.{suffix}")
        getattr(board, method)(file)
        files.append(file)
    return files
