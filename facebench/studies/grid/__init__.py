"""Grids of trained models: every combination of choices trained, used, evaluated and compared."""

from __future__ import annotations

from facebench.studies.grid.grid_file import Grid, read_grid
from facebench.studies.grid.job import Job
from facebench.studies.grid.plan import plan
from facebench.studies.grid.run import run_grid
from facebench.studies.grid.schedule import Machines, run_jobs

__all__ = ["Grid", "Job", "Machines", "plan", "read_grid", "run_grid", "run_jobs"]
