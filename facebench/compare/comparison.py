"""Comparison of two runs: `facebench.compare(baseline, run)`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from facebench.compare.difference_table import difference_table
from facebench.compare.verdict import Verdict, verdict
from facebench.core.escape import escape_html
from facebench.core.language import translate
from facebench.core.tables import Table
from facebench.evaluation.record import Run
from facebench.evaluation.record_reading import load_run


@dataclass(frozen=True)
class RunComparison:
    """Differences of a run from a baseline; a notebook shows the verdict and the table.

    Attributes:
        baseline: the run that is compared with.
        run: the run that is judged.
        verdict: on how many headline metrics the run is better or worse.
        table: both values, the difference with its 95 % interval, and the result, by metric.
    """

    baseline: Run
    run: Run
    verdict: Verdict
    table: Table

    def __repr__(self) -> str:
        """Return one line: the verdict."""
        return f"<RunComparison {self.run.name!r}: {self.verdict}>"

    def _repr_html_(self) -> str:
        """Return the verdict and the table, for notebooks."""
        sentence = f"{self.run.name}: {translate(str(self.verdict))}"
        return f"<p><b>{escape_html(sentence)}</b></p>\n{self.table._repr_html_()}"


def compare_runs(
    baseline: Run | str | Path, run: Run | str | Path, *, show_all: bool = False
) -> RunComparison:
    """Compare a run with a baseline, paired over the images that both have.

    Args:
        baseline: the run that is compared with: a run, its folder, or a name that `facebench runs` lists.
        run: the run that is judged.
        show_all: whether all metrics are compared, or only the headline of the protocol.

    Raises:
        InputError: a run cannot be read, or the runs are not comparable; the message lists the reasons.
    """
    old, new = (each if isinstance(each, Run) else load_run(each) for each in (baseline, run))
    table = difference_table(new, old, show_all=show_all)
    return RunComparison(old, new, verdict(new, old), table)
