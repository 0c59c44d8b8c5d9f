"""Compare run records: leaderboards, the gate, differences between runs.

The package is also a function: `facebench.compare(baseline, run)` compares two runs.
"""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from facebench.compare.comparison import RunComparison
    from facebench.evaluation.record import Run


class _ComparePackage(ModuleType):
    """The package `facebench.compare`, which can be called."""

    def __call__(
        self, baseline: Run | str | Path, run: Run | str | Path, *, show_all: bool = False
    ) -> RunComparison:
        """Compare a run with a baseline; see `facebench.compare.comparison.compare_runs`."""
        from facebench.compare.comparison import compare_runs

        return compare_runs(baseline, run, show_all=show_all)


# The function and the package share their name, as `facebench.compare(a, b)` is the natural call.
sys.modules[__name__].__class__ = _ComparePackage
