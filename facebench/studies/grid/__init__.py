"""Grids of trained models: every combination of choices trained, used, evaluated and compared."""

from __future__ import annotations

from facebench.studies.grid.grid_file import Grid, read_grid
from facebench.studies.grid.plan import Job, plan
from facebench.studies.grid.run import run_grid

__all__ = ["Grid", "Job", "plan", "read_grid", "run_grid"]
