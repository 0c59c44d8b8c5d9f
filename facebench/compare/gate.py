"""The gate: whether a run is worse than a baseline, by rules.

By default a metric fails when it is worse than the baseline at a level of 5 % for the whole record: the one-sided
p values of all judged metrics are corrected together (Holm 1979).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from facebench.compare.comparability import reasons_not_comparable
from facebench.compare.coverage import COUNTS, compared_counts
from facebench.compare.difference import difference
from facebench.compare.gate_item import CheckItem, Comparison, compared, judge
from facebench.compare.gate_rules import Rules, read_rules
from facebench.compare.gate_table import gate_table
from facebench.core.errors import InputError
from facebench.core.escape import escape_html
from facebench.core.tables import Table
from facebench.evaluation.record import Run
from facebench.evaluation.record_reading import load_run


@dataclass(frozen=True, repr=False)
class CheckReport:
    """Outcome of the gate.

    Attributes:
        run: name of the run.
        baseline: name of the baseline.
        protocol: protocol of both.
        items: one item per metric, in the order of the protocol, then one per count of images that changed.
        level: probability that a record fails by chance although no metric is worse.
        tested: number of p values that are corrected together.
    """

    run: str
    baseline: str
    protocol: str
    items: tuple[CheckItem, ...]
    level: float = 0.05
    tested: int = 0

    def __repr__(self) -> str:
        """Return one line: names, protocol and outcome."""
        return (
            f"<CheckReport {self.run!r} against {self.baseline!r}: protocol {self.protocol}, {self.summary}>"
        )

    def _repr_html_(self) -> str:
        """Return the outcome and the table, for notebooks."""
        return f"<p>{escape_html(self.summary)}</p>\n{self.table()._repr_html_()}"

    @property
    def failed(self) -> list[CheckItem]:
        """Items that failed."""
        return [item for item in self.items if item.verdict == "failed"]

    @property
    def passed(self) -> bool:
        """Whether no rule failed."""
        return not self.failed

    @property
    def summary(self) -> str:
        """One line with the numbers of judged and failed metrics."""
        judged = sum(item.verdict != "not judged" for item in self.items)
        outcome = "passed" if self.passed else "failed"
        return f"{outcome}: {len(self.failed)} of {judged} judged metrics are worse than the rules allow"

    def table(self) -> Table:
        """Build the table: failed items first, reasons in the notes."""
        caption = f"{self.run} against the baseline {self.baseline} · {self.protocol}"
        return gate_table(self.items, caption, self.level, self.tested)


def check(
    run: Run | str | Path,
    baseline: Run | str | Path,
    rules: Rules | Mapping[str, Any] | str | Path | None = None,
) -> CheckReport:
    """Compare a run with a baseline and judge every metric by the rules.

    Args:
        run: a run, its folder, or its record file.
        baseline: a run, its folder, or its record file.
        rules: YAML file, mapping or `Rules`. By default no metric that has a better direction may be worse than
            the baseline, at a level of 5 % for the whole record, and no images or faces may be lost. A metric
            without a finite value in the run fails under any rules when the baseline has a value.

    Returns:
        A report with `.passed`, `.items`, `.failed` and `.table()`.

    Raises:
        InputError: a record or the rules cannot be read, or the records are not comparable.

    Example:
        >>> import facebench
        >>> facebench.check("runs/today", "results/baselines/quality.json").passed  # doctest: +SKIP
        True
    """
    run, baseline = _load(run), _load(baseline)
    reasons = reasons_not_comparable(baseline, run)
    if reasons:
        raise InputError(
            f"{run.name} is not comparable with the baseline {baseline.name}: {'; '.join(reasons)}. "
            "Evaluate both in the same way, or make this run the baseline with --update."
        )
    metrics = list(dict.fromkeys([*baseline.metrics, *run.metrics]))
    read = read_rules(rules, [*metrics, *COUNTS])
    comparisons = [_compare(metric, run, baseline, read) for metric in metrics]
    comparisons += compared_counts(run, baseline, read)
    items = judge(comparisons, read.level)
    changed = [item for item in items[len(metrics) :] if item.difference or item.verdict == "failed"]
    tested = sum(each.p is not None for each in comparisons)
    shown = (*items[: len(metrics)], *changed)
    return CheckReport(run.name, baseline.name, run.protocol, shown, read.level, tested)


def _load(run: Run | str | Path) -> Run:
    return run if isinstance(run, Run) else load_run(run)


def _compare(metric: str, run: Run, baseline: Run, rules: Rules) -> Comparison:
    new, old = run.metrics.get(metric), baseline.metrics.get(metric)
    available = new or old
    assert available is not None
    rule = rules.of(metric, available.better)
    return compared(metric, new, old, difference(metric, run, baseline), rule)
