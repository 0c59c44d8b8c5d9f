"""`facebench grid`: train, evaluate and compare a model for every combination of factors."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from facebench.cli.machine_options import Address, Engine, EngineOption, Gpus, Workers, machines
from facebench.cli.messages import print_line
from facebench.core.files import safe_file_name

if TYPE_CHECKING:
    from facebench.studies.grid import Grid


def grid(
    path: Annotated[Path, typer.Argument(metavar="GRID.yaml", help="Factors, data, training and transfer.")],
    out: Annotated[
        Path | None,
        typer.Option(help="Output folder, runs/NAME by default; the same command continues a stopped grid."),
    ] = None,
    workers: Workers = 1,
    gpus: Gpus = None,
    engine: EngineOption = Engine.local,
    address: Address = None,
    show: Annotated[
        bool,
        typer.Option(
            "--show",
            help="Print the commands and what is missing (weights, licences, data, disk), with the time; run nothing.",
        ),
    ] = False,
) -> None:
    """Train, evaluate and compare a model for every combination of factors."""
    from facebench.studies.grid import read_grid, run_grid

    content = read_grid(path)
    if show:
        _show(content, path, out or Path("runs") / safe_file_name(content.grid))
        return
    start = time.monotonic()

    def report(name: str, state: str, finished: int, jobs: int) -> None:
        if state != "known":
            print_line(f"{finished}/{jobs} {(time.monotonic() - start) / 60:.1f} min  {state}: {name}")

    folder = out or Path("runs") / safe_file_name(content.grid)
    study = run_grid(path, folder, machines(workers, gpus, engine, address), progress=report)
    print_line((folder / "logs" / "factorial.log").read_text(encoding="utf-8"))
    print_line(f"wrote {study}")


def _show(content: Grid, path: Path, out: Path) -> None:
    """Print the commands of a grid and its needs."""
    from facebench.studies.grid import plan
    from facebench.studies.grid.forecast import forecast

    folder = path.absolute().parent
    jobs = plan(content, folder, strict=False)
    for job in jobs:
        print_line(f"{job.name}: facebench {' '.join(job.words)}")
    for line in forecast(content, jobs, folder, out).lines():
        is_missing = line.startswith("missing: ") and not line.endswith("nothing")
        print_line(line, style="yellow" if is_missing else "")
