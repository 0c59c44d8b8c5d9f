"""Offline runs for Weights & Biases; `wandb sync` sends them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from facebench.core.extras import requires_extra
from facebench.evaluation.record import Run
from facebench.report.export.results import properties, result_rows, scalars

EXTRA = "wandb"
PROJECT = "facebench"
MODE = "WANDB_MODE"


def export_wandb(runs: Sequence[Run], folder: Path) -> list[Path]:
    """Write one run of Weights & Biases for each run: summary, configuration, and tables.

    Nothing is sent unless the environment variable `WANDB_MODE` is `online`.

    Args:
        runs: the runs.
        folder: folder in which Weights & Biases keeps its runs.

    Returns:
        The folders of the written runs, which `wandb sync` takes.

    Raises:
        InputError: the package wandb is not installed.
    """
    with requires_extra(EXTRA):
        import wandb

    folder.mkdir(parents=True, exist_ok=True)
    written = []
    for run in runs:
        logged = wandb.init(
            project=PROJECT,
            name=run.name,
            group=run.protocol,
            config=properties(run),
            dir=str(folder),
            mode=os.environ.get(MODE, "offline"),
            settings=wandb.Settings(silent=True, console="off"),
        )
        logged.summary.update(scalars(run))
        tables = {"results": result_rows(run)}
        if run.per_image is not None:
            tables["images"] = run.per_image
        logged.log({name: wandb.Table(dataframe=table.astype(object)) for name, table in tables.items()})
        written.append(Path(logged.dir).parent)
        logged.finish()
    return written
