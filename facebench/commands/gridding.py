"""`facebench grid`: train, use, evaluate and compare every combination of a grid."""

from __future__ import annotations

import time
from pathlib import Path

from rich.console import Console


def grid_command(path: Path, out: Path | None, *, workers: int, gpus: str | None, show: bool) -> None:
    """Run what is left of the grid, a line for every job; or only list the jobs."""
    from facebench.studies.grid import plan, read_grid, run_grid

    console = Console()
    grid = read_grid(path)
    if show:
        for job in plan(grid, path.absolute().parent):
            console.print(
                f"{job.name}: facebench {' '.join(job.words)}", markup=False, highlight=False, soft_wrap=True
            )
        return
    began = time.monotonic()

    def tell(name: str, what: str, finished: int, jobs: int) -> None:
        if what != "known":
            minutes = (time.monotonic() - began) / 60
            console.print(
                f"{finished}/{jobs} {minutes:.1f} min  {what}: {name}",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )

    folder = out or Path("runs") / grid.grid
    study = run_grid(path, folder, workers=workers, gpus=gpus.split(",") if gpus else (), progress=tell)
    console.print(
        (folder / "logs" / "factorial.log").read_text(encoding="utf-8"), markup=False, soft_wrap=True
    )
    console.print(f"wrote {study}", markup=False, soft_wrap=True)
