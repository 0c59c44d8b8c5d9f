"""Run a grid: its jobs, and the pairs that its transfers need."""

from __future__ import annotations

from pathlib import Path

from facebench.core.errors import InputError
from facebench.studies.grid.grid_file import Grid, read_grid
from facebench.studies.grid.job import Job
from facebench.studies.grid.plan import plan
from facebench.studies.grid.schedule import JobProgress, Machines, run_jobs


def run_grid(
    path: str | Path,
    out: str | Path,
    machines: Machines | None = None,
    *,
    progress: JobProgress | None = None,
) -> Path:
    """Run the unfinished jobs of a grid; see `run_jobs`.

    Args:
        path: the grid file.
        out: output folder of the grid.
        machines: where the jobs run; one after the other on this machine by default.
        progress: callback invoked after each job.

    Returns:
        Folder of the study: effects.csv, study.html and plots.

    Raises:
        InputError: an invalid grid file, a job finished by a different command, or failed jobs; the message names the
            first one with the last line of its log.
    """
    grid, folder = read_grid(Path(path)), Path(out).absolute()
    jobs = plan(grid, Path(path).absolute().parent)
    pairs = _PairDrawing(grid, folder, Path(path).absolute().parent)
    failed = run_jobs(jobs, folder, machines or Machines(), progress=progress, before=pairs.before).failures
    if failed:
        first = failed[0]
        raise InputError(
            f"{len(failed)} of {len(jobs)} jobs failed. The first, '{first.job.name}': {first.reason} "
            f"Its log: {first.log}. Fix the cause and run the same command again."
        )
    return folder / "study"


class _PairDrawing:
    """Draw the pairs of a grid after its image sets are complete."""

    def __init__(self, grid: Grid, folder: Path, grid_folder: Path) -> None:
        self.grid, self.folder, self.grid_folder = grid, folder, grid_folder

    def before(self, job: Job) -> None:
        """Write pairs.csv before the first transfer."""
        settings, path = self.grid.transfer, self.folder / "pairs.csv"
        if not job.name.startswith("transfer ") or not isinstance(settings.pairs, int) or path.is_file():
            return
        from facebench.images.image_set import ImageSet
        from facebench.training.rig.transfer.pairs import draw_pairs, write_pairs

        source, target = (ImageSet.open(self._path(name)) for name in (settings.source, settings.target))
        write_pairs(path, draw_pairs(source, target, settings.pairs, settings.seed))

    def _path(self, name: str) -> Path:
        path = self.grid.sets[name].path
        return self.folder / "sets" / name if path is None else self.grid_folder / path
